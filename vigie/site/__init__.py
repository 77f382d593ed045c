"""The site file: a whole installation's people, schedules, policies, lines and trunks in one YAML text."""
