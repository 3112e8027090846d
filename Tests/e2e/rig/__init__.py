"""What the end-to-end tests share: a raw wire client, a node as a process, an oracle, a lint. Nothing here comes from the product."""
