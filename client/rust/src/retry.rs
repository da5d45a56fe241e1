//! The retry policy: which failures of a call are followed by another attempt, and after which pause.
//!
//! tonic has no service config, so the SDK carries the policy itself, with the numbers that the other SDKs put into
//! their channel's service config, and the rules of gRFC A6. Every attempt has the same request id.

use std::time::Duration;

use crate::failure::{Failure, Pushback};
use crate::wire::Origin;
use tonic::Code;

/// The number of times that a call is sent, at most.
pub(crate) const ATTEMPTS_MAX: u32 = 5;
pub(crate) const BACKOFF_INITIAL: Duration = Duration::from_millis(200);
pub(crate) const BACKOFF_MULTIPLIER: f64 = 2.5;
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The codes of the server, or of a proxy, after which a call is sent again. The server cancels no call: a proxy that
/// shuts down does.
pub(crate) const RETRYABLE_CODES: [Code; 3] = [Code::Unavailable, Code::ResourceExhausted, Code::Cancelled];

/// The pauses between attempts to connect. They count as no attempt: nothing was sent.
const RECONNECT_INITIAL: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_millis(500);

/// The attempts of one call.
#[derive(Debug)]
pub(crate) struct Attempts {
    sent: u32,
    backoff: Duration,
    reconnect: Duration,
    draw: fn() -> f64,
}

impl Attempts {
    /// `draw` gives a number from 0 up to 1: it spreads the pauses by a fifth more or less.
    pub(crate) fn new(draw: fn() -> f64) -> Attempts {
        Attempts {
            sent: 0,
            backoff: BACKOFF_INITIAL,
            reconnect: RECONNECT_INITIAL,
            draw,
        }
    }

    /// Returns the pause before the next attempt; `None` if the failure is final.
    pub(crate) fn pause(&mut self, failure: &Failure) -> Option<Duration> {
        if failure.origin == Origin::NotSent {
            let pause = self.reconnect;
            self.reconnect = (2 * pause).min(RECONNECT_MAX);
            return Some(self.spread(pause));
        }
        self.sent += 1;
        if self.sent >= ATTEMPTS_MAX || !may_pass(failure) {
            return None;
        }
        match failure.pushback {
            Some(Pushback::Never) => None,
            Some(Pushback::After(pause)) => {
                self.backoff = BACKOFF_INITIAL;
                Some(pause)
            }
            None => {
                let pause = self.backoff;
                self.backoff = pause.mul_f64(BACKOFF_MULTIPLIER).min(BACKOFF_MAX);
                Some(self.spread(pause))
            }
        }
    }

    fn spread(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.8 + 0.4 * (self.draw)())
    }
}

/// Tells whether a repeat of the same request may succeed. An answer of the server says so by its code alone.
fn may_pass(failure: &Failure) -> bool {
    match failure.origin {
        Origin::Lost | Origin::NotSent => true,
        Origin::Answer => RETRYABLE_CODES.contains(&failure.error.code()),
        Origin::Refused | Origin::Expired => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::tests::{answer, answer_with, not_sent};

    fn attempts() -> Attempts {
        Attempts::new(|| 0.5)
    }

    #[test]
    fn pauses_grow_until_five_attempts_were_made() {
        let mut attempts = attempts();
        let unavailable = answer(Code::Unavailable);
        let pauses: Vec<_> = std::iter::from_fn(|| attempts.pause(&unavailable)).collect();
        assert_eq!(pauses, [200, 500, 1250, 3125].map(Duration::from_millis));
    }

    #[test]
    fn pauses_are_spread_by_a_fifth() {
        let unavailable = answer(Code::Unavailable);
        assert_eq!(
            Attempts::new(|| 0.0).pause(&unavailable),
            Some(Duration::from_millis(160))
        );
        assert_eq!(
            Attempts::new(|| 1.0).pause(&unavailable),
            Some(Duration::from_millis(240))
        );
    }

    #[test]
    fn a_connection_that_fails_uses_up_no_attempt() {
        let mut attempts = attempts();
        let pauses: Vec<_> = (0..8)
            .map(|_| attempts.pause(&not_sent()).unwrap().as_millis())
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 500, 500, 500, 500]);
        let unavailable = answer(Code::Unavailable);
        assert_eq!(attempts.pause(&unavailable), Some(BACKOFF_INITIAL));
    }

    #[test]
    fn other_codes_are_final() {
        for code in (0..=16).map(Code::from) {
            let repeated = attempts().pause(&answer(code)).is_some();
            assert_eq!(repeated, RETRYABLE_CODES.contains(&code), "{code:?}");
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_service_config() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../service_config.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is in a checkout of the repository alone");
            return;
        };
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let policy = &config["methodConfig"][0]["retryPolicy"];
        let seconds = |value: Duration| format!("{}s", value.as_secs_f64());
        let codes = serde_json::json!(["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"]);
        assert_eq!(policy["maxAttempts"], ATTEMPTS_MAX);
        assert_eq!(policy["initialBackoff"], seconds(BACKOFF_INITIAL));
        assert_eq!(policy["backoffMultiplier"], BACKOFF_MULTIPLIER);
        assert_eq!(policy["maxBackoff"], seconds(BACKOFF_MAX));
        assert_eq!(policy["retryableStatusCodes"], codes);
    }

    #[test]
    fn a_pushback_is_the_pause_and_resets_the_backoff() {
        let mut attempts = attempts();
        attempts.pause(&answer(Code::Unavailable));
        let pushback = answer_with(Code::ResourceExhausted, "grpc-retry-pushback-ms", "70");
        assert_eq!(attempts.pause(&pushback), Some(Duration::from_millis(70)));
        assert_eq!(attempts.pause(&answer(Code::Unavailable)), Some(BACKOFF_INITIAL));
    }

    #[test]
    fn a_negative_or_unreadable_pushback_is_final() {
        for value in ["-1", "soon"] {
            let pushback = answer_with(Code::Unavailable, "grpc-retry-pushback-ms", value);
            assert_eq!(attempts().pause(&pushback), None, "{value}");
        }
    }
}
