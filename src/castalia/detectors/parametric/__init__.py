"""A detector given by a card: acceptance, resolutions, efficiencies, jets, b-tags and missing momentum as formulas."""
