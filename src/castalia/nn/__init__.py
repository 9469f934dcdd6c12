"""Networks that know no physics."""
