//! What can be said about the security of an answer without validating it ourselves.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::answer::Answer;
use super::facts::{Dnssec, State};
use super::question::Question;
use super::server::Endpoint;
use super::transport::{Reply, ask};
use crate::evidence::{Observed, UnknownWhy};
use crate::net::Roots;
use crate::probes::Context;

const SECONDS_PER_DAY: i64 = 86_400;

/// Whether the resolver withholds an answer because it does not validate: it fails, has an answer
/// when asked not to check, and fails again. The last question tells a bogus zone from a server
/// that failed once.
pub(super) async fn withholds(
    ctx: &Context,
    endpoint: &Endpoint,
    roots: &Roots,
    question: &Question,
    first: &Reply,
    deadline: Instant,
) -> Observed<bool> {
    if first.answer.state != State::ServFail {
        return Observed::Value(false);
    }
    let now = Instant::now();
    let half = now + deadline.saturating_duration_since(now) / 2;
    match ask(ctx, endpoint, roots, &question.unchecked(), half).await {
        Ok(reply) if is_data(reply.answer.state) => {}
        Ok(_) => return Observed::Value(false),
        Err(error) => return Observed::Unknown(error.as_unknown()),
    }
    match ask(ctx, endpoint, roots, question, deadline).await {
        Ok(reply) => Observed::Value(reply.answer.state == State::ServFail),
        Err(error) => Observed::Unknown(error.as_unknown()),
    }
}

const fn is_data(state: State) -> bool {
    matches!(state, State::NoError | State::NoData | State::NxDomain)
}

/// The security of an answer, given whether it is withheld.
pub(super) fn security(answer: &Answer, withheld: &Observed<bool>) -> Observed<Dnssec> {
    match withheld {
        Observed::Value(true) => return Observed::Value(Dnssec::Bogus),
        Observed::Value(false) => {}
        Observed::Unknown(unknown) => return Observed::Unknown(unknown.clone()),
    }
    let unsupported = |detail: &str| Observed::unknown(UnknownWhy::Unsupported, detail);
    if !is_data(answer.state) {
        Observed::unknown(
            UnknownWhy::NotObserved,
            format!("the resolver {}", answer.state),
        )
    } else if answer.authentic {
        Observed::Value(Dnssec::Secure)
    } else if !answer.dnssec_ok {
        unsupported("the resolver does not validate, and hands out no signatures")
    } else if answer.signed {
        unsupported("there are signatures, and the resolver does not say that it validated them")
    } else {
        Observed::Value(Dnssec::Insecure)
    }
}

/// The time of a signature field: 32 bits that wrap around, so the one nearest to now is meant
/// (RFC 4034, 3.1.5).
pub(super) fn expires_at(expiry: u32, now: Timestamp) -> Timestamp {
    let base = now.as_second();
    // Only the low 32 bits take part in the comparison.
    let low = u32::try_from(base.rem_euclid(1 << 32)).unwrap_or(0);
    let ahead = i64::from(expiry.wrapping_sub(low).cast_signed());
    Timestamp::from_second(base + ahead).unwrap_or(now)
}

/// Whole days, rounded down.
pub(super) fn days_left(expires: Timestamp, now: Timestamp) -> i64 {
    let left: SignedDuration = expires.duration_since(now);
    left.as_secs().div_euclid(SECONDS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_times_wrap_around() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let low = u32::try_from(now.as_second()).unwrap();
        assert_eq!(expires_at(low, now), now);
        assert_eq!(expires_at(low - 10, now).as_second(), now.as_second() - 10);
        assert_eq!(expires_at(low + 10, now).as_second(), now.as_second() + 10);

        let late: Timestamp = "2106-02-07T06:28:10Z".parse().unwrap();
        assert_eq!(expires_at(20, late).as_second(), (1 << 32) + 20);
    }

    #[test]
    fn days_are_rounded_down() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_second(now.as_second() + seconds).unwrap();
        assert_eq!(days_left(at(3 * 86_400), now), 3);
        assert_eq!(days_left(at(3 * 86_400 - 1), now), 2);
        assert_eq!(days_left(at(-1), now), -1);
    }
}
