"""One component resource a file; none imports another. ``stacks.gateway`` joins them."""
