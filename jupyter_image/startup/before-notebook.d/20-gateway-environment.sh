# Sourced as a server starts, after the base image's hook 10 has activated its own conda environment, which
# puts /opt/conda/bin first: the server and its kernels are the gateway's.
PATH="/opt/gateway/bin:/usr/local/lrose/bin:$PATH"
export PATH
