"""From the queue to the commit, whatever fails: what waits, who stores it, and all the ends of a process.

The signals' receivers (``trace_streaming.recorder``) and ingest call it. It never raises into an emitter, and
publishes nothing before it is committed.
"""
