//! The calls: what is asked, and the lists of C that ask it.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};
use std::ptr::null;

use rdkafka::bindings as sys;

use super::values::{ClusterView, ConfigView, Place, Refused, TopicView};
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
            for place in places.iter().filter(|_| !list.is_null()) {
                let Ok(topic) = CString::new(place.topic.as_str()) else {
                    continue;
                };
                let element =
                    sys::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), place.partition);
                if !element.is_null() {
                    (*element).offset = offset;
                }
            }
            Self(list)
        }
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by `rd_kafka_topic_partition_list_new`, destroyed once.
            unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0) }
        }
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
        let Some(name) = names.pointers().first().copied() else {
            return Err(Trouble::Failed(read::explained(code::UNKNOWN_TOPIC, "")));
        };
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
                    name,
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
        if collection.is_null() {
            return Ok(Vec::new());
        }
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
            .filter_map(|name| unsafe {
                let resource = sys::rd_kafka_ConfigResource_new(topic, name.as_ptr());
                // A topic without a name, which only a broker could have made up.
                if resource.is_null() {
                    return None;
                }
                for setting in &settings.owned {
                    sys::rd_kafka_ConfigResource_set_config(
                        resource,
                        setting.as_ptr(),
                        c"".as_ptr(),
                    );
                }
                Some(resource)
            })
            .collect();
        if resources.is_empty() {
            return Ok(BTreeMap::new());
        }
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
}
