"""Small public data sets, bundled as plain data.

``load(name)`` returns a fresh pandas frame; nothing is read until then. Columns that R's
packages hold as factors are categoricals with the same order of levels.

=============  =====  ===========================================================================
name            rows  what, where it comes from, columns and their units
=============  =====  ===========================================================================
``sleepstudy``   180  Reaction times under sleep restriction, Belenky et al. (2003) [1]_: 18 people
                      with three hours in bed, ten days. ``Reaction`` mean reaction time, ms;
                      ``Days`` since the start, 0 to 9; ``Subject``.
``Penicillin``   144  Six samples assayed on each of 24 plates, Davies and Goldsmith (1972) [2]_,
                      section 6.6: crossed. ``diameter`` of the zone without growth, mm; ``plate``;
                      ``sample``.
``Pastes``        60  Strength of a paste in casks within deliveries, section 6.5 of [2]_: nested.
                      ``strength`` in no stated unit; ``batch`` A to J; ``cask`` a to c, the
                      labels used again in every batch; ``sample`` the cask with its batch, A:a.
``Dyestuff``      30  Five preparations from each of six batches, section 6.4 of [2]_. ``Yield``
                      grams of standard colour; ``Batch``.
``Dyestuff2``     30  Constructed so that batches vary less than preparations do, Box and Tiao
                      (1973) [3]_, section 5.1.2: the variance estimate is 0. ``Yield`` no unit;
                      ``Batch``.
``cake``         270  Breakage of chocolate cakes, Cook (1938), in Cochran and Cox (1957) [4]_,
                      p. 300: a split plot. ``replicate`` 1 to 15 within ``recipe`` A to C;
                      ``temperature`` ordered and ``temp`` as a number, degrees Fahrenheit;
                      ``angle`` at which the cake broke, degrees.
``Machines``      54  Productivity of six workers on three machines, Milliken and Johnson (1992),
                      in Pinheiro and Bates (2000) [5]_. ``score`` no unit; ``Worker``, ``Machine``.
``InstEval``   73421  Students' ratings of lectures at ETH Zurich, anonymised; from R's lme4 [6]_:
                      crossed, unbalanced. ``s`` student; ``d`` lecturer; ``studage`` semesters
                      enrolled and ``lectage`` semesters since the lecture, ordered; ``service`` 1
                      for a lecture given to another department; ``dept``; ``y`` rating, 1 to 5.
``cbpp``          56  Cases of pleuropneumonia in zebu cattle of 15 herds in Ethiopia, Lesnoff,
                      Laval, Bonnet and others (2004) [7]_. ``herd``; ``incidence`` new cases and
                      ``size`` animals at the start of each ``period``, 1 to 4.
``gpa_sim``     1200  Simulated: grades of 200 students over six semesters. ``student``;
                      ``occasion`` 0 to 5; ``year``; ``semester``; ``gpa`` grade points; ``job``
                      hours of paid work a day; ``sex``; ``highgpa`` grade points at school;
                      ``admitted`` to the university of first choice.
=============  =====  ===========================================================================

Notes
-----
``gpa_sim`` follows gpa = 2.6 + 0.1 occasion + 0.15 female + 0.1 (highgpa - 3) - 0.12 (hours - 2)
+ u0 + u1 occasion + e, where hours is 0 to 4 for the levels of ``job``, sd(u0) = 0.2,
sd(u1) = 0.06, cor(u0, u1) = -0.1 and sd(e) = 0.2; ``tests/data/make_datasets.py`` draws it.

References
----------
.. [1] Belenky, Wesensten, Thorne, Thomas, Sing, Redmond, Russo and Balkin (2003), J. Sleep Res.
   12, 1-12.
.. [2] Davies and Goldsmith, eds. (1972), Statistical Methods in Research and Production, 4th ed.
.. [3] Box and Tiao (1973), Bayesian Inference in Statistical Analysis.
.. [4] Cochran and Cox (1957), Experimental Designs, 2nd ed.
.. [5] Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS.
.. [6] Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1).
.. [7] Lesnoff, Laval, Bonnet, Abdicho, Workalemahu, Kifle, Peyraud, Lancelot and Thiaucourt (2004),
   Prev. Vet. Med. 64, 27-40.
"""

from .reading import load, names

__all__ = ["load", "names"]
