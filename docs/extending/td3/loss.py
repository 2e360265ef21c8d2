"""TD3's losses (Fujimoto et al. 2018, arXiv:1802.09477, algorithm 1)."""


def targets(rewards, discounts, next_values):
    """(B,) r + gamma min Q'(s', a'), of (2, B) values. discounts: gamma, 0 after the last transition of an episode."""
    return rewards + discounts * next_values.amin(0)


def critic_loss(values, targets):
    """() sum of both Q networks' mean squared errors, of (2, B) values and (B,) targets."""
    return (values - targets).square().mean(1).sum()


def policy_loss(values):
    """() minus the first Q network's mean value of the policy's actions, of (2, B) values."""
    return -values[0].mean()
