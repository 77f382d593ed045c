"""The pure rules of being on call: rotations, schedules, policies, routing. No I/O, no clock; ``now`` is given."""
