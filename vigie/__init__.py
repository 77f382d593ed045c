"""The shell of the application: settings, the command line, and running a whole stack on one machine."""
