"""A Linux desktop in the browser for JupyterLab: started on first use, stopped when nobody uses it.

``registration`` is what jupyter-server-proxy asks; ``supervisor`` is the one process that it starts.
"""
