//! Time intervals in which a route is muted or active.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::Deserialize;

/// As it stands in the configuration.
#[derive(Deserialize)]
pub(super) struct RawInterval {
    times: Option<Vec<RawTimes>>,
    weekdays: Option<Vec<String>>,
    days_of_month: Option<Vec<String>>,
    months: Option<Vec<String>>,
    years: Option<Vec<String>>,
    location: Option<String>,
}

#[derive(Deserialize)]
struct RawTimes {
    start_time: String,
    end_time: String,
}

/// A set of moments. Every field that is given has to hold.
#[derive(Debug)]
pub(super) struct Interval {
    /// Minutes of the day; the end is outside.
    times: Option<Vec<(i16, i16)>>,
    weekdays: Option<Vec<(i16, i16)>>,
    /// Negative: counted from the end of the month.
    days_of_month: Option<Vec<(i16, i16)>>,
    months: Option<Vec<(i16, i16)>>,
    years: Option<Vec<(i16, i16)>>,
    zone: TimeZone,
}

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Interval {
    /// Reads one.
    ///
    /// # Errors
    /// Text saying what cannot be read.
    pub(super) fn read(raw: &RawInterval) -> Result<Self, String> {
        let times = raw.times.as_ref().map(|times| {
            let one = |times: &RawTimes| {
                let start = minute_of_day(&times.start_time)?;
                Ok::<_, String>((start, minute_of_day(&times.end_time)?))
            };
            times.iter().map(one).collect::<Result<Vec<_>, _>>()
        });
        let zone = match raw.location.as_deref() {
            None | Some("" | "UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name)
                .map_err(|_| format!("this host does not know the time zone `{name}`"))?,
        };
        let month = |text: &str| named(text, &MONTHS, 1).or_else(|| number(text));
        Ok(Self {
            times: times.transpose()?,
            weekdays: ranges(raw.weekdays.as_ref(), |text| named(text, &WEEKDAYS, 0))?,
            days_of_month: ranges(raw.days_of_month.as_ref(), number)?,
            months: ranges(raw.months.as_ref(), month)?,
            years: ranges(raw.years.as_ref(), number)?,
            zone,
        })
    }

    /// Whether the moment lies in it.
    fn contains(&self, at: Timestamp) -> bool {
        let at = at.to_zoned(self.zone.clone());
        let minute = i16::from(at.hour()) * 60 + i16::from(at.minute());
        let weekday = i16::from(at.weekday().to_sunday_zero_offset());
        let inside = |ranges: &Option<Vec<(i16, i16)>>, value: i16| {
            ranges.as_ref().is_none_or(|ranges| {
                ranges
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&value))
            })
        };
        let in_times = self.times.as_ref().is_none_or(|times| {
            times
                .iter()
                .any(|(start, end)| (*start..*end).contains(&minute))
        });
        in_times
            && inside(&self.weekdays, weekday)
            && inside(&self.months, i16::from(at.month()))
            && inside(&self.years, at.year())
            && self.contains_day(&at)
    }

    fn contains_day(&self, at: &Zoned) -> bool {
        let last_day = i16::from(at.days_in_month());
        let from_start = |day: i16| if day < 0 { last_day + day + 1 } else { day };
        self.days_of_month.as_ref().is_none_or(|ranges| {
            ranges.iter().any(|(first, last)| {
                let (first, last) = (from_start(*first).max(1), from_start(*last).min(last_day));
                (first..=last).contains(&i16::from(at.day()))
            })
        })
    }

    /// Whether every moment lies in it.
    fn is_always(&self) -> bool {
        let whole_day = |times: &Vec<(i16, i16)>| times.contains(&(0, 24 * 60));
        self.weekdays
            .as_ref()
            .is_none_or(|days| days.contains(&(0, 6)))
            && self
                .days_of_month
                .as_ref()
                .is_none_or(|days| days.contains(&(1, 31)))
            && self
                .months
                .as_ref()
                .is_none_or(|months| months.contains(&(1, 12)))
            && self.years.is_none()
            && self.times.as_ref().is_none_or(whole_day)
    }
}

/// When a route notifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notifies {
    /// At this moment.
    Now,
    /// Not at this moment, and at another within eight days.
    Later,
    /// Never.
    Never,
    /// Not within eight days, or it cannot be told.
    Undecided,
}

/// When a route notifies that is muted in some intervals, and active only in others unless there
/// are none.
pub(super) fn notifies(
    muted: &[&Interval],
    active: Option<&[&Interval]>,
    now: Timestamp,
) -> Notifies {
    const STEP: SignedDuration = SignedDuration::from_mins(30);
    const STEPS: usize = 8 * 48;
    let open = |at: Timestamp| {
        !muted.iter().any(|interval| interval.contains(at))
            && active.is_none_or(|active| active.iter().any(|interval| interval.contains(at)))
    };
    if open(now) {
        return Notifies::Now;
    }
    let never_active = active.is_some_and(<[_]>::is_empty);
    if never_active || muted.iter().any(|interval| interval.is_always()) {
        return Notifies::Never;
    }
    let mut at = now;
    for _ in 0..STEPS {
        let Ok(next) = at.checked_add(STEP) else {
            break;
        };
        at = next;
        if open(at) {
            return Notifies::Later;
        }
    }
    Notifies::Undecided
}

fn minute_of_day(text: &str) -> Result<i16, String> {
    let parsed = text.split_once(':').and_then(|(hour, minute)| {
        let hour: i16 = hour.parse().ok()?;
        let minute: i16 = minute.parse().ok()?;
        let total = hour.checked_mul(60)?.checked_add(minute)?;
        ((0..60).contains(&minute) && (0..=24 * 60).contains(&total)).then_some(total)
    });
    parsed.ok_or_else(|| format!("`{text}` is not a time of day"))
}

fn named(text: &str, names: &[&str], first: i16) -> Option<i16> {
    let at = names
        .iter()
        .position(|name| text.eq_ignore_ascii_case(name))?;
    i16::try_from(at).ok().map(|at| at + first)
}

fn number(text: &str) -> Option<i16> {
    text.parse().ok()
}

type Ranges = Option<Vec<(i16, i16)>>;

fn ranges(
    texts: Option<&Vec<String>>,
    read: impl Fn(&str) -> Option<i16>,
) -> Result<Ranges, String> {
    let one = |text: &String| {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let pair = read(first.trim()).zip(read(last.trim()));
        pair.ok_or_else(|| format!("`{text}` is not a range"))
    };
    texts
        .map(|texts| texts.iter().map(one).collect())
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(yaml: &str) -> Interval {
        Interval::read(&serde_saphyr::from_str(yaml).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn moments_are_inside_or_outside() {
        let nights = interval("times: [{start_time: '22:00', end_time: '24:00'}]");
        assert!(nights.contains(at("2026-01-05T23:59:59Z")));
        assert!(!nights.contains(at("2026-01-05T21:59:59Z")));
        let week = interval("weekdays: ['monday:friday']");
        assert!(week.contains(at("2026-01-05T00:00:00Z")));
        assert!(!week.contains(at("2026-01-04T00:00:00Z")));
        let end =
            interval("days_of_month: ['-3:-1']\nmonths: ['february', '4']\nyears: ['2026:2027']");
        assert!(end.contains(at("2026-02-26T00:00:00Z")));
        assert!(!end.contains(at("2026-02-25T00:00:00Z")));
        assert!(end.contains(at("2026-04-30T00:00:00Z")));
        assert!(!end.contains(at("2028-02-28T00:00:00Z")));
        let zoned =
            interval("location: Asia/Shanghai\ntimes: [{start_time: '00:00', end_time: '01:00'}]");
        assert!(zoned.contains(at("2026-01-05T16:30:00Z")));
    }

    #[test]
    fn when_a_route_notifies_is_told() {
        let now = at("2026-01-05T12:00:00Z");
        let always = interval("times: [{start_time: '00:00', end_time: '24:00'}]");
        let noon = interval("times: [{start_time: '11:00', end_time: '13:00'}]");
        let year = interval("years: ['2026']");
        let weekdays = interval("weekdays: ['monday:friday']");
        let weekend = interval("weekdays: ['saturday', 'sunday']");
        assert_eq!(notifies(&[], None, now), Notifies::Now);
        assert_eq!(notifies(&[&always], None, now), Notifies::Never);
        assert_eq!(notifies(&[&noon], None, now), Notifies::Later);
        assert_eq!(notifies(&[&year], None, now), Notifies::Undecided);
        assert_eq!(
            notifies(&[&weekdays, &weekend], None, now),
            Notifies::Undecided
        );
        assert_eq!(notifies(&[], Some(&[&noon]), now), Notifies::Now);
        assert_eq!(notifies(&[], Some(&[&weekend]), now), Notifies::Later);
        assert_eq!(notifies(&[], Some(&[]), now), Notifies::Never);
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for bad in [
            "times: [{start_time: '25:00', end_time: '26:00'}]",
            "weekdays: [someday]",
            "months: ['1:x']",
            "location: Nowhere/Atall",
        ] {
            let raw: RawInterval = serde_saphyr::from_str(bad).unwrap();
            assert!(Interval::read(&raw).is_err(), "{bad}");
        }
    }
}
