"""Key generation without a dealer: C2SP COCKTAIL-DKG v0.2.1 (c2sp.org/cocktail-dkg), ristretto255.

::

    ciphersuite  COCKTAIL(Ristretto255, SHA-512): Schnorr signatures, and the encryption of shares
    polynomials  shares, and the commitments that they must fit
    messages     what a participant says in round 1, and what all sign in the end, as bytes
    sessions     open_session, take_seat: who takes part
    rounds       commit, receive, certify, conclude; witness, for who only looks on

n participants make one key that none of them ever holds: each gets a share, any t of them evaluate
with it (`signing.oprf.shares`), and fewer learn nothing. What travels may pass through a
coordinator who is trusted with nothing but to pass it on. Any fault ends the attempt, and
`protocol.errors.KeygenError` says whose it was.
"""
