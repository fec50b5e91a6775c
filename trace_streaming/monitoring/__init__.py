"""For who operates the site: health, Prometheus' metrics, the dashboard's pages.

Called over HTTP alone. It must answer when the database or the channel layer do not.
"""
