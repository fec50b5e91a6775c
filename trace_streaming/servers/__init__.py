"""The process that serves: daphne and uvicorn taught what they lack, and the row that says which processes live.

Sockets and long responses are given their transports here. It knows nothing of what is sent on them.
"""
