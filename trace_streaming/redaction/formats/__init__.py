"""Secrets and numbers of persons that are known by their own form, or by the signs right around them."""
