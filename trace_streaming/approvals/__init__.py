"""An agent asks a human: where the one decision is taken, and where agents wait for it.

All doors decide here. Nothing in it knows how an answer came: by socket, REST or admin.
"""
