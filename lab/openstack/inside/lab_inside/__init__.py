"""Code of the lab that runs inside OpenStack's processes, in their virtual environment."""
