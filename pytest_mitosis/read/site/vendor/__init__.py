"""Libraries of others that run in the browser's pages, as their authors built them."""
