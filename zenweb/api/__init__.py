"""REST manners without nouns: envelopes, pages, filters, errors."""
