"""What a reproduced cell says, in lines for people."""

from __future__ import annotations

import json

from dajko.study.commands.reproduce import Reproduction


def described(found: Reproduction) -> list[str]:
    """Lines that show a reproduced cell."""
    place = f"{found.group}/{found.cell}" if found.group else str(found.cell)
    lines = [f"cell {place}, id {found.id}, member {found.member}"]
    lines += [f"  {key} = {value}" for key, value in found.parameters.items()]
    lines.append(f"  seed {found.seed}, seed key {found.seed_key}")
    if found.setting:
        lines.append(f"  setting {json.dumps(found.setting)}")
    if found.steps:
        lines.append(f"  {'step':>4}  {'status':<13}  {'iterations':>10}  {'residual':>9}  residuals")
    for step in found.steps:
        parts = ", ".join(f"{name} {value:.2e}" for name, value in step["residuals"].items())
        lines.append(
            f"  {step['step']:>4}  {step['status']:<13}  {step['iterations']:>10}  {step['residual']:>9.2e}  {parts}"
        )
    if found.iterations:
        bad = next(step for step in found.steps if step["status"] != "converged")
        lines.append(f"  step {bad['step']}: {bad['message']}")
        lines += [f"    after {row['iterations']} iterations: residual {row['residual']:.2e}" for row in found.iterations]
    if found.message:
        lines.append(f"  {found.message}")
    if not found.same_code:
        lines.append("  the numerical code is not the one that the store was computed with")
    if found.stored == "pending":
        lines.append(f"{found.status}; nothing is stored to compare it with")
    elif found.equal:
        lines.append(f"{found.status}; equal to the stored cell, bit for bit")
    else:
        lines.append(f"{found.status}; different from the stored cell, which is {found.stored}:")
        lines += [f"  {name}: by at most {value:.3g}" for name, value in found.differences.items()]
    return lines
