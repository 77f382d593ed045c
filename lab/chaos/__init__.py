"""Everything that can befall Vigie does, at random but seeded moments, while SIPp calls; then four books must agree.

`plan` says who calls and what befalls when, `traffic` has SIPp call and answer, `afflictions` strike, `books` are what
each side knows in the end, and `reconciliation` finds where they disagree.
"""
