"""The demonstration: real purchases in, explained classes out, on this machine, in one command.

The purchases are the CDNOW sample of Fader and Hardie (customers of a CD shop who first bought in the first
quarter of 1997, followed to June 1998; in dollars), published for research and teaching.
"""
