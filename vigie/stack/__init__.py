"""The programs that make up a running Vigie, started and stopped as one."""
