"""The checks: pure functions from facts to verdicts. `dcnbuild.doctor.registry` gathers them."""
