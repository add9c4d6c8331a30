"""The CPU-heavy function: counts the primes below a number (the body, or 60000) by trial division.

It costs about 25 ms of one core, so that a node of any size saturates.
"""

import sys


def primes_below(limit: int) -> int:
    """Count the primes below a limit."""
    found: list[int] = []
    for number in range(2, limit):
        for prime in found:
            if prime * prime > number:
                found.append(number)
                break
            if number % prime == 0:
                break
        else:
            found.append(number)
    return len(found)


def main() -> None:
    """Read the limit, write the count."""
    given = sys.stdin.buffer.read(32).strip() or b"60000"
    if not given.isdigit() or int(given) > 2_000_000:
        sys.exit("primes: the body is a number up to 2000000")
    sys.stdout.write(f"{primes_below(int(given))}\n")


if __name__ == "__main__":
    main()
