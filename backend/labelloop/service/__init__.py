"""The running system: wires what speaks to Label Studio and what learns into a server and workers."""
