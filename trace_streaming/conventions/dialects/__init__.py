"""Of each dialect that spans are told in, a module: what is said in it, in the words of OpenTelemetry's conventions."""
