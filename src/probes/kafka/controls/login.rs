//! Clients with other credentials than the probe's own.

use super::super::client::Settings;
use super::super::native::{Admin, Trouble, code};
use super::super::pool::Work;
use super::super::trouble;
use super::blind;
use crate::evidence::{Observed, UnknownWhy};

/// Which of the topics a client with these settings may see.
pub(super) fn visible(
    settings: &Settings,
    topics: &[String],
    work: &Work,
) -> Observed<Vec<String>> {
    let admin = match Admin::connect(settings) {
        Ok(admin) => admin,
        Err(failure) => return blind(&failure),
    };
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let told = match admin.topics(&names, work) {
        Ok(told) => told,
        Err(Trouble::Refused(_)) => {
            let text =
                "the login `unauthorised` itself was refused, which says nothing of its rights";
            return Observed::unknown(UnknownWhy::Denied, text);
        }
        Err(trouble) => return trouble::unknown(&trouble, "an answer").into(),
    };
    let mut seen = Vec::new();
    for topic in topics {
        match told.iter().find(|one| one.name == *topic) {
            Some(one) => match &one.partitions {
                Ok(_) => seen.push(topic.clone()),
                Err(refused) if refused.code == code::TOPIC_DENIED => {}
                Err(refused) => {
                    let text = format!("{topic}: {}", refused.text);
                    return Observed::unknown(UnknownWhy::NotObserved, text);
                }
            },
            None => {
                let text = format!("no broker said anything of {topic}");
                return Observed::unknown(UnknownWhy::NotObserved, text);
            }
        }
    }
    Observed::Value(seen)
}
