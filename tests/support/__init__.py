"""What the integration and acceptance tests share: certificates, a scriptable DoT upstream, clients, and a runner for the relay."""
