//! The calls: what is asked, and the lists of C that ask it.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};
use std::ptr::null;

use rdkafka::bindings as sys;

use super::values::{
    ClusterView, ConfigView, GroupListing, GroupView, OffsetView, Place, Refused, TopicView,
};
use super::{Admin, Trouble, code, millis, read};
use crate::probes::kafka::pool::Work;

/// Which end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum LogEnd {
    /// The oldest record that is left.
    Start,
    /// Where the next record will be.
    End,
}

/// A list of partitions of C.
struct Partitions(*mut sys::rd_kafka_topic_partition_list_t);

impl Partitions {
    fn new(places: &[Place], offset: i64) -> Self {
        let size = c_int::try_from(places.len()).unwrap_or(0);
        // SAFETY: the list is owned here; each name lives during the call that copies it; the
        // element is of this list and written before anything is added.
        unsafe {
            let list = sys::rd_kafka_topic_partition_list_new(size);
            for place in places {
                let Ok(topic) = CString::new(place.topic.as_str()) else {
                    continue;
                };
                let element =
                    sys::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), place.partition);
                (*element).offset = offset;
            }
            Self(list)
        }
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_topic_partition_list_new`, destroyed once.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0) }
    }
}

/// Names as C has them.
struct Names {
    owned: Vec<CString>,
}

impl Names {
    fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let owned = names.into_iter().filter_map(|name| CString::new(name).ok());
        Self {
            owned: owned.collect(),
        }
    }

    fn pointers(&self) -> Vec<*const c_char> {
        self.owned.iter().map(|name| name.as_ptr()).collect()
    }
}

impl Admin {
    /// The cluster's id, controller and brokers.
    pub(in super::super) fn cluster(&self, work: &Work) -> Result<ClusterView, Trouble> {
        self.call_one(
            work,
            // SAFETY: all three are alive during the call.
            &|client, options, queue, _| unsafe {
                sys::rd_kafka_DescribeCluster(client, options, queue);
            },
            read::cluster,
        )
    }

    /// Has the controller check, and not make, a topic, and tells what it said. Any answer shows that
    /// it is there: brokers pass this on and answer nothing by themselves.
    pub(in super::super) fn controller(
        &self,
        topic: &str,
        work: &Work,
    ) -> Result<Result<(), Refused>, Trouble> {
        const BROKERS_DEFAULT: c_int = -1;
        let names = Names::new([topic]);
        let pointers = names.pointers();
        self.call_one(
            work,
            // SAFETY: all are alive during the call, which copies the topic; where it cannot be told
            // only to check, nothing is sent.
            &|client, options, queue, _| unsafe {
                let mut error = [0; 128];
                let checked = sys::rd_kafka_AdminOptions_set_validate_only(
                    options.cast_mut(),
                    1,
                    error.as_mut_ptr(),
                    error.len(),
                );
                if checked as i32 != 0 {
                    return;
                }
                let new = sys::rd_kafka_NewTopic_new(
                    pointers[0],
                    1,
                    BROKERS_DEFAULT,
                    error.as_mut_ptr(),
                    error.len(),
                );
                if !new.is_null() {
                    let mut list = [new];
                    sys::rd_kafka_CreateTopics(client, list.as_mut_ptr(), 1, options, queue);
                    sys::rd_kafka_NewTopic_destroy(new);
                }
            },
            read::created,
        )
    }

    /// All topics that the client may see.
    pub(in super::super) fn all_topics(&self, work: &Work) -> Result<Vec<TopicView>, Trouble> {
        let mut metadata = null();
        let wait = millis(work.left(super::MAX_CALL)).max(1);
        // SAFETY: the client is alive; what comes back is read and destroyed once, here.
        let topics = unsafe {
            let result = sys::rd_kafka_metadata(
                self.ptr(),
                1,
                std::ptr::null_mut(),
                &raw mut metadata,
                wait,
            );
            if metadata.is_null() {
                Err(result as i32)
            } else {
                let topics = read::metadata(metadata);
                sys::rd_kafka_metadata_destroy(metadata);
                Ok(topics)
            }
        };
        self.listen();
        topics.map_err(|result| match self.why() {
            Some(trouble) => trouble,
            None if result == code::TIMED_OUT => Trouble::TimedOut,
            None => Trouble::Failed(Refused {
                code: result,
                text: read::meaning(result),
            }),
        })
    }

    /// Topics by name; one that is not there has an error of its own, and is not made.
    pub(in super::super) fn topics(
        &self,
        names: &[&str],
        work: &Work,
    ) -> Result<Vec<TopicView>, Trouble> {
        let names = Names::new(names.iter().copied());
        let mut pointers = names.pointers();
        // SAFETY: the names live until the end of this function, and are copied.
        let collection = unsafe {
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
        };
        let topics = self.call_one(
            work,
            // SAFETY: all four are alive during the call.
            &|client, options, queue, _| unsafe {
                sys::rd_kafka_DescribeTopics(client, collection, options, queue);
            },
            read::topics,
        );
        // SAFETY: made above, destroyed once.
        unsafe { sys::rd_kafka_TopicCollection_destroy(collection) };
        topics
    }

    /// Settings of topics, those of `settings` alone.
    pub(in super::super) fn configs(
        &self,
        topics: &[&str],
        settings: &[&str],
        work: &Work,
    ) -> Result<BTreeMap<String, Result<Vec<ConfigView>, Refused>>, Trouble> {
        let names = Names::new(topics.iter().copied());
        let settings = Names::new(settings.iter().copied());
        let topic = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        // SAFETY: names and settings live during the calls that copy them.
        let mut resources: Vec<_> = names
            .owned
            .iter()
            .map(|name| unsafe {
                let resource = sys::rd_kafka_ConfigResource_new(topic, name.as_ptr());
                for setting in &settings.owned {
                    sys::rd_kafka_ConfigResource_set_config(
                        resource,
                        setting.as_ptr(),
                        c"".as_ptr(),
                    );
                }
                resource
            })
            .collect();
        let array = resources.as_mut_ptr();
        let count = resources.len();
        let configs = self.call_one(
            work,
            // SAFETY: all are alive during the call, which copies the resources.
            &|client, options, queue, _| unsafe {
                sys::rd_kafka_DescribeConfigs(client, array, count, options, queue);
            },
            read::configs,
        );
        for resource in resources {
            // SAFETY: made above, destroyed once.
            unsafe { sys::rd_kafka_ConfigResource_destroy(resource) };
        }
        Ok(configs?.into_iter().collect())
    }

    /// All groups that the client may see, and what brokers could not list theirs.
    pub(in super::super) fn group_list(
        &self,
        work: &Work,
    ) -> Result<(Vec<GroupListing>, Vec<Refused>), Trouble> {
        self.call_one(
            work,
            // SAFETY: all three are alive during the call.
            &|client, options, queue, _| unsafe {
                sys::rd_kafka_ListConsumerGroups(client, options, queue);
            },
            read::group_list,
        )
    }

    /// Groups by name, of both protocols. A call for each, so that a coordinator that hangs takes
    /// the answers of no other.
    pub(in super::super) fn groups(
        &self,
        groups: &[&str],
        work: &Work,
    ) -> BTreeMap<String, Result<GroupView, Trouble>> {
        let names = Names::new(groups.iter().copied());
        let pointers = names.pointers();
        self.each(
            groups,
            work,
            // SAFETY: all are alive during the call, which copies the name.
            &|client, options, queue, index| unsafe {
                let mut name = [pointers[index]];
                sys::rd_kafka_DescribeConsumerGroups(client, name.as_mut_ptr(), 1, options, queue);
            },
            &|event| match read::groups(event).into_iter().next() {
                Some((_, Ok(group))) => Ok(group),
                Some((_, Err(refused))) => Err(refused),
                None => Err(Refused {
                    code: -1,
                    text: "an empty answer".to_owned(),
                }),
            },
        )
    }

    /// The offsets that groups have committed in these partitions; none of them is joined.
    pub(in super::super) fn committed(
        &self,
        groups: &[(&str, Vec<Place>)],
        work: &Work,
    ) -> BTreeMap<String, Result<Vec<OffsetView>, Trouble>> {
        let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
        let owned = Names::new(names.iter().copied());
        let pointers = owned.pointers();
        self.each(
            &names,
            work,
            // SAFETY: all are alive during the call, which copies the request.
            &|client, options, queue, index| unsafe {
                let places = Partitions::new(&groups[index].1, 0);
                let request = sys::rd_kafka_ListConsumerGroupOffsets_new(pointers[index], places.0);
                let mut list = [request];
                sys::rd_kafka_ListConsumerGroupOffsets(
                    client,
                    list.as_mut_ptr(),
                    1,
                    options,
                    queue,
                );
                sys::rd_kafka_ListConsumerGroupOffsets_destroy(request);
            },
            &read::committed,
        )
    }

    /// One end of partitions that have a leader, in one request to each leader.
    pub(in super::super) fn log_end(
        &self,
        places: &[Place],
        end: LogEnd,
        work: &Work,
    ) -> Result<BTreeMap<Place, Result<i64, Refused>>, Trouble> {
        const OLDEST: i64 = -2;
        const NEXT: i64 = -1;
        let list = Partitions::new(places, if end == LogEnd::Start { OLDEST } else { NEXT });
        let array = list.0;
        let offsets = self.call_one(
            work,
            // SAFETY: all are alive during the call, which copies the list.
            &|client, options, queue, _| unsafe {
                sys::rd_kafka_ListOffsets(client, array, options, queue);
            },
            read::offsets,
        )?;
        Ok(offsets
            .into_iter()
            .map(|it| (it.place, it.offset))
            .collect())
    }

    /// A call for each name, all at once.
    fn each<T>(
        &self,
        names: &[&str],
        work: &Work,
        submit: super::Submit<'_>,
        read: &dyn Fn(&super::Event) -> Result<T, Refused>,
    ) -> BTreeMap<String, Result<T, Trouble>> {
        let mut answers = BTreeMap::new();
        let ended = self.call(names.len(), work, submit, &mut |index, event| {
            let Some(name) = names.get(index) else { return };
            let answer = match event.and_then(read) {
                Ok(value) => Ok(value),
                Err(refused) if refused.code == code::TIMED_OUT => Err(Trouble::TimedOut),
                Err(refused) => Err(Trouble::Failed(refused)),
            };
            answers.insert((*name).to_owned(), answer);
        });
        let trouble = ended.err().unwrap_or(Trouble::TimedOut);
        for name in names {
            answers
                .entry((*name).to_owned())
                .or_insert_with(|| Err(trouble.clone()));
        }
        answers
    }
}
