"""The rung of the ladder below the workers."""
