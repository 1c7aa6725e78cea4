//! One visit to every broker: whether it serves, which groups it keeps, and who is in those that
//! are declared. No coordinator is looked for, which might make the topic in which groups are kept:
//! every broker is asked, and the one that keeps a group answers.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::super::native::{
    GroupListing, GroupView, NodeView, OffsetView, Place, Refused, Trouble, code,
};
use super::access::Access;
use super::link::{Answer, Kind, Link, Problem, Request};
use super::requests::{self, Told};
use crate::net::Dialler;

/// Brokers that are visited; no cluster that is declared one by one has more.
pub(in super::super) const MAX_BROKERS: usize = 512;
/// How long to wait before brokers are asked again for a group that none of them keeps: it moves.
const PAUSE: Duration = Duration::from_millis(150);

/// A broker that was visited.
pub(super) struct Station {
    id: i32,
    host: String,
    port: u16,
    link: Result<Link, Problem>,
    /// All groups that it keeps and that the client may see.
    listing: Result<Vec<GroupListing>, Trouble>,
}

/// What brokers told.
pub(in super::super) struct Visit {
    stations: Vec<Station>,
    /// The declared groups, and the place in `stations` of the broker that keeps each.
    groups: BTreeMap<String, (Option<usize>, Result<GroupView, Trouble>)>,
}

/// Protocols of groups: what the list of groups calls them.
const CONSUMER: &str = "consumer";
const CLASSIC: &str = "classic";

/// What one broker says of one group.
enum Said {
    /// It keeps it.
    Kept(GroupView),
    /// It would keep it, and there is none of a protocol that can be described.
    None,
    /// An error that another broker would say too.
    Refused(Refused),
    /// It does not keep it, or not yet.
    Elsewhere(Refused),
}

impl Visit {
    /// Visits every broker at the same time. Where the cluster has no topic in which groups are
    /// kept, nobody keeps any, and nobody is asked twice.
    pub(super) async fn begin(
        net: &Dialler,
        access: &Access,
        nodes: &[NodeView],
        names: &[&str],
        kept: bool,
        end: Instant,
    ) -> Self {
        let stations = nodes.iter().take(MAX_BROKERS);
        let stations = join_all(stations.map(|node| Station::visit(net, access, node, end))).await;
        let mut visit = Self {
            stations,
            groups: BTreeMap::new(),
        };
        let mut open: Vec<&str> = names.to_vec();
        loop {
            open = visit.describe(&open, end).await;
            let nobody = visit.stations.iter().all(|it| it.link.is_err());
            if open.is_empty() || !kept || nobody || Instant::now() + 2 * PAUSE >= end {
                return visit;
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks every broker for these groups; returns those that none of them keeps.
    async fn describe<'n>(&mut self, names: &[&'n str], end: Instant) -> Vec<&'n str> {
        if names.is_empty() {
            return Vec::new();
        }
        let said = join_all(self.stations.iter_mut().map(|it| it.describe(names, end))).await;
        let mut open = Vec::new();
        for name in names {
            let (keeper, answer) = self.decide(name, &said);
            if keeper.is_none() && !is_refused(&answer) {
                open.push(*name);
            }
            self.groups.insert((*name).to_owned(), (keeper, answer));
        }
        open
    }

    fn decide(
        &self,
        name: &str,
        said: &[Result<BTreeMap<String, Said>, Problem>],
    ) -> (Option<usize>, Result<GroupView, Trouble>) {
        let mut why = None;
        for (at, said) in said.iter().enumerate() {
            match said.as_ref().map(|said| said.get(name)) {
                Ok(Some(Said::Kept(group))) => return (Some(at), Ok(group.clone())),
                Ok(Some(Said::None)) => return (Some(at), Err(self.undescribed(name, at))),
                Ok(Some(Said::Refused(refused))) => {
                    why = Some(Trouble::Failed(refused.clone()));
                    break;
                }
                Ok(Some(Said::Elsewhere(refused))) => {
                    let text = format!("no broker keeps the group now: {}", refused.text);
                    let code = refused.code;
                    why.get_or_insert(Trouble::Failed(Refused { code, text }));
                }
                Ok(None) => {}
                // One that is out of reach may be the one that keeps it.
                Err(problem) => why = Some(trouble(problem)),
            }
        }
        let nobody = || Trouble::Failed(own("no broker said anything of the group"));
        (None, Err(why.unwrap_or_else(nobody)))
    }

    /// The broker that would keep the group can describe none of that name: there is none, if it
    /// does not list one of another kind.
    fn undescribed(&self, name: &str, at: usize) -> Trouble {
        let absent = Refused {
            code: code::GROUP_NOT_FOUND,
            text: "there is no such group".to_owned(),
        };
        let refused = match &self.stations[at].listing {
            Ok(listing) => match listing.iter().find(|it| it.name == name) {
                None => absent,
                Some(group) if group.state.eq_ignore_ascii_case("dead") => absent,
                Some(group) => own(&match group.kind.as_str() {
                    "" => "the group is listed, and is of no kind that can be described".to_owned(),
                    kind => format!(
                        "it is a {} group, which is not looked into",
                        kind.to_lowercase()
                    ),
                }),
            },
            Err(_) => own(
                "there is no consumer group of that name, and whether there is a group of another \
                 kind its broker did not tell",
            ),
        };
        Trouble::Failed(refused)
    }

    /// Whether each broker serves, by its id.
    pub(in super::super) fn served(&self, id: i32) -> Option<Result<(), &Problem>> {
        let station = self.stations.iter().find(|it| it.id == id)?;
        Some(station.link.as_ref().map(drop))
    }

    /// The groups that were asked for by name.
    pub(in super::super) fn group(&self, name: &str) -> Option<&Result<GroupView, Trouble>> {
        self.groups.get(name).map(|(_, group)| group)
    }

    /// All groups that the client may see, and why brokers did not list theirs.
    pub(in super::super) fn listing(&self) -> (Vec<&GroupListing>, Vec<&Trouble>) {
        let groups = self
            .stations
            .iter()
            .flat_map(|it| it.listing.iter().flatten());
        let troubles = self
            .stations
            .iter()
            .filter_map(|it| it.listing.as_ref().err());
        (groups.collect(), troubles.collect())
    }

    /// The offsets that groups have committed, each asked for at the broker that keeps it.
    pub(super) async fn committed(
        &mut self,
        net: &Dialler,
        access: &Access,
        asked: &[(String, Vec<Place>)],
        end: Instant,
    ) -> BTreeMap<String, Result<Vec<OffsetView>, Trouble>> {
        let mut answers = BTreeMap::new();
        let mut by_station: BTreeMap<usize, Vec<&(String, Vec<Place>)>> = BTreeMap::new();
        for one in asked {
            match self.groups.get(&one.0) {
                Some((Some(at), _)) => by_station.entry(*at).or_default().push(one),
                Some((None, Err(trouble))) => {
                    answers.insert(one.0.clone(), Err(trouble.clone()));
                }
                _ => {
                    let trouble = Trouble::Failed(own("the group was not asked for"));
                    answers.insert(one.0.clone(), Err(trouble));
                }
            }
        }
        let stations = self.stations.iter_mut().enumerate();
        let told = join_all(stations.filter_map(|(at, station)| {
            let asked = by_station.remove(&at)?;
            Some(station.committed(net, access, asked, end))
        }));
        answers.extend(told.await.into_iter().flatten());
        answers
    }
}

impl Station {
    async fn visit(net: &Dialler, access: &Access, node: &NodeView, end: Instant) -> Self {
        let mut link = connect(net, access, &node.host, node.port, end).await;
        let listing = match &mut link {
            Ok(link) => list(link, end).await,
            Err(problem) => Err(trouble(problem)),
        };
        Self {
            id: node.id,
            host: node.host.clone(),
            port: node.port,
            link,
            listing,
        }
    }

    async fn describe(
        &mut self,
        names: &[&str],
        end: Instant,
    ) -> Result<BTreeMap<String, Said>, Problem> {
        let link = self.link.as_mut().map_err(|problem| problem.clone())?;
        let classic = requests::describe(link, names)?;
        let consumer = requests::describe_consumers(link, names);
        let versions = (classic.version, consumer.as_ref().map(|it| it.version));
        let wanted: Vec<Request> = [Some(classic), consumer].into_iter().flatten().collect();
        let mut answers = link.ask_all(wanted, end).await.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(Problem::nonsense()));
        let classic = requests::described(&next()?, versions.0)?;
        let consumer = match versions.1 {
            Some(version) => requests::described_consumers(&next()?, version)?,
            None => Vec::new(),
        };
        let find = |told: &[Told], name: &str| told.iter().find(|it| it.name == name).cloned();
        let said = |name: &&str| {
            let said = say(find(&classic, name)?, find(&consumer, name));
            Some(((*name).to_owned(), said))
        };
        Ok(names.iter().filter_map(said).collect())
    }

    async fn committed(
        &mut self,
        net: &Dialler,
        access: &Access,
        asked: Vec<&(String, Vec<Place>)>,
        end: Instant,
    ) -> Vec<(String, Result<Vec<OffsetView>, Trouble>)> {
        // A broker that came back meanwhile is asked over a new connection.
        if self.link.as_ref().is_ok_and(Link::is_broken) {
            self.link = connect(net, access, &self.host, self.port, end).await;
        }
        let answers = match &mut self.link {
            Ok(link) => offsets(link, &asked, end).await,
            Err(problem) => Err(problem.clone()),
        };
        match answers {
            Ok(answers) => (asked.iter().zip(answers))
                .map(|(one, answer)| (one.0.clone(), answer))
                .collect(),
            Err(problem) => (asked.iter())
                .map(|one| (one.0.clone(), Err(trouble(&problem))))
                .collect(),
        }
    }
}

/// A connection that is logged in.
pub(super) async fn connect(
    net: &Dialler,
    access: &Access,
    host: &str,
    port: u16,
    end: Instant,
) -> Result<Link, Problem> {
    let mut link = Link::open(net, access, host, port, end).await?;
    if let Some(login) = &access.login {
        link.log_in(login, end).await?;
    }
    Ok(link)
}

async fn list(link: &mut Link, end: Instant) -> Result<Vec<GroupListing>, Trouble> {
    let request = requests::list(link).map_err(|problem| trouble(&problem))?;
    let version = request.version;
    let answer = link.ask_all(vec![request], end).await.into_iter().next();
    let answer = answer.unwrap_or_else(|| Err(Problem::nonsense()));
    let answer = answer.map_err(|problem| trouble(&problem))?;
    requests::listed(&answer, version).map_err(Trouble::Failed)
}

type Committed = Vec<Result<Vec<OffsetView>, Trouble>>;

async fn offsets(
    link: &mut Link,
    asked: &[&(String, Vec<Place>)],
    end: Instant,
) -> Result<Committed, Problem> {
    let wanted = (asked.iter()).map(|(name, places)| requests::offsets(link, name, places));
    let wanted = wanted.collect::<Result<Vec<Request>, Problem>>()?;
    let versions: Vec<i16> = wanted.iter().map(|it| it.version).collect();
    let answers = link.ask_all(wanted, end).await;
    let read = |places: &[Place], version: i16, answer: Result<Answer, Problem>| {
        let answer = answer.map_err(|problem| trouble(&problem))?;
        requests::fetched(&answer, version, places).map_err(Trouble::Failed)
    };
    let answers = asked.iter().zip(versions).zip(answers);
    Ok(answers
        .map(|((one, version), answer)| read(&one.1, version, answer))
        .collect())
}

/// What both questions tell of one group at one broker.
fn say(classic: Told, consumer: Option<Told>) -> Said {
    let refused = |code: i16| requests::refused(code);
    if let Some(consumer) = consumer {
        match i32::from(consumer.code) {
            0 => return kept(consumer, CONSUMER),
            code::GROUP_DENIED => return Said::Refused(refused(consumer.code)),
            code if is_elsewhere(code) => return Said::Elsewhere(refused(consumer.code)),
            _ => {}
        }
    }
    match i32::from(classic.code) {
        0 if classic.state != "Dead" => kept(classic, CLASSIC),
        0 | code::GROUP_NOT_FOUND => Said::None,
        code if is_elsewhere(code) => Said::Elsewhere(refused(classic.code)),
        _ => Said::Refused(refused(classic.code)),
    }
}

fn kept(told: Told, kind: &str) -> Said {
    Said::Kept(GroupView {
        state: told.state,
        kind: kind.to_owned(),
        members: told.members,
    })
}

/// The broker is not the one that keeps the group, or has not read it yet.
const fn is_elsewhere(code: i32) -> bool {
    matches!(code, 14..=16)
}

/// Whether asking again is of no use: an error that does not say that the group is kept elsewhere.
fn is_refused(answer: &Result<GroupView, Trouble>) -> bool {
    matches!(answer, Err(Trouble::Failed(refused)) if refused.code > 0 && !is_elsewhere(refused.code))
}

/// An error of our own words.
fn own(text: &str) -> Refused {
    Refused {
        code: -1,
        text: text.to_owned(),
    }
}

/// Why there is no answer from a broker.
pub(super) fn trouble(problem: &Problem) -> Trouble {
    match problem.kind {
        Kind::Silent => Trouble::TimedOut,
        Kind::Unsupported => Trouble::Failed(Refused {
            code: code::UNSUPPORTED,
            text: problem.text.clone(),
        }),
        _ => Trouble::Failed(own(&problem.text)),
    }
}
