//! Copies librdkafka's results into owned values. Every function here demands of its caller that
//! the pointer it is given belongs to an event, or to metadata, that is alive.

use std::ptr::addr_of;

use rdkafka::bindings as sys;

use super::values::{
    ClusterView, ConfigView, NodeView, OffsetView, PartitionView, Place, Refused, TopicView,
};
use super::{
    Event, rd_kafka_ConfigEntry_source, rd_kafka_ConfigResource_error, rd_kafka_error_code,
    rd_kafka_topic_result_error, text,
};

/// The pointers of an array that librdkafka returned with its length.
///
/// # Safety
/// `array` is null or has `count` elements, and lives as long as what is made of it.
unsafe fn items<T>(array: *mut *const T, count: usize) -> Vec<*const T> {
    if array.is_null() {
        return Vec::new();
    }
    // SAFETY: as demanded of the caller.
    (0..count)
        .map(|at| unsafe { *array.add(at) })
        .filter(|item| !item.is_null())
        .collect()
}

/// # Safety
/// See the module.
unsafe fn refused(error: *const sys::rd_kafka_error_t) -> Option<Refused> {
    if error.is_null() {
        return None;
    }
    // SAFETY: not null and alive.
    unsafe {
        let code = rd_kafka_error_code(error);
        (code != 0).then(|| explained(code, &text(sys::rd_kafka_error_string(error))))
    }
}

/// An error with what its code means, where its text leaves that out.
pub(super) fn explained(code: i32, said: &str) -> Refused {
    let said = said.trim();
    let text = if said.is_empty() {
        meaning(code)
    } else if said.ends_with(':') {
        format!("{said} {}", meaning(code))
    } else {
        said.to_owned()
    };
    Refused { code, text }
}

/// What a broker's code means.
pub(in super::super) fn meaning(code: i32) -> String {
    match sys::rd_kafka_resp_err_t::try_from(code) {
        Ok(known) => rdkafka::types::RDKafkaErrorCode::from(known).to_string(),
        Err(_) => format!("error {code}"),
    }
}

/// # Safety
/// See the module.
unsafe fn node(node: *const sys::rd_kafka_Node_t) -> NodeView {
    // SAFETY: alive, as demanded of the caller.
    unsafe {
        let rack = sys::rd_kafka_Node_rack(node);
        NodeView {
            id: sys::rd_kafka_Node_id(node),
            host: text(sys::rd_kafka_Node_host(node)),
            port: sys::rd_kafka_Node_port(node),
            rack: (!rack.is_null())
                .then(|| text(rack))
                .filter(|rack| !rack.is_empty()),
        }
    }
}

pub(super) fn cluster(event: &Event) -> ClusterView {
    // SAFETY: the event is alive; where it is of another kind, the result is null.
    unsafe {
        let result = sys::rd_kafka_event_DescribeCluster_result(event.0);
        if result.is_null() {
            return ClusterView {
                id: String::new(),
                controller: None,
                nodes: Vec::new(),
            };
        }
        let mut count = 0;
        let nodes = sys::rd_kafka_DescribeCluster_result_nodes(result, &raw mut count);
        let controller = sys::rd_kafka_DescribeCluster_result_controller(result);
        ClusterView {
            id: text(sys::rd_kafka_DescribeCluster_result_cluster_id(result)),
            controller: (!controller.is_null()).then(|| sys::rd_kafka_Node_id(controller)),
            nodes: items(nodes, count).into_iter().map(|it| node(it)).collect(),
        }
    }
}

pub(super) fn created(event: &Event) -> Result<(), Refused> {
    // SAFETY: the event is alive; where it is of another kind, the result is null.
    unsafe {
        let result = sys::rd_kafka_event_CreateTopics_result(event.0);
        let (mut count, mut list) = (0, std::ptr::null_mut());
        if !result.is_null() {
            list = sys::rd_kafka_CreateTopics_result_topics(result, &raw mut count);
        }
        let Some(topic) = items(list, count).into_iter().next() else {
            return Err(explained(-1, "an empty answer"));
        };
        match rd_kafka_topic_result_error(topic) {
            0 => Ok(()),
            code => {
                let said = text(sys::rd_kafka_topic_result_error_string(topic));
                Err(explained(code, &said))
            }
        }
    }
}

/// # Safety
/// See the module.
unsafe fn node_ids(list: *mut *const sys::rd_kafka_Node_t, count: usize) -> Vec<i32> {
    // SAFETY: alive, as demanded of the caller.
    unsafe { items(list, count) }
        .into_iter()
        .map(|node| unsafe { sys::rd_kafka_Node_id(node) })
        .collect()
}

/// # Safety
/// See the module.
unsafe fn described_partition(info: *const sys::rd_kafka_TopicPartitionInfo_t) -> PartitionView {
    // SAFETY: alive, as demanded of the caller.
    unsafe {
        let leader = sys::rd_kafka_TopicPartitionInfo_leader(info);
        let (mut replicas, mut in_sync) = (0, 0);
        let replica_list = sys::rd_kafka_TopicPartitionInfo_replicas(info, &raw mut replicas);
        let isr_list = sys::rd_kafka_TopicPartitionInfo_isr(info, &raw mut in_sync);
        PartitionView {
            partition: sys::rd_kafka_TopicPartitionInfo_partition(info),
            leader: if leader.is_null() {
                -1
            } else {
                sys::rd_kafka_Node_id(leader)
            },
            replicas: node_ids(replica_list, replicas),
            isr: node_ids(isr_list, in_sync),
        }
    }
}

pub(super) fn topics(event: &Event) -> Vec<TopicView> {
    // SAFETY: the event is alive; where it is of another kind, the result is null.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return Vec::new();
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        items(topics, count)
            .into_iter()
            .map(|topic| {
                let error = refused(sys::rd_kafka_TopicDescription_error(topic));
                let mut count = 0;
                let list = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
                TopicView {
                    name: text(sys::rd_kafka_TopicDescription_name(topic)),
                    partitions: match error {
                        Some(error) => Err(error),
                        None => Ok(items(list, count)
                            .into_iter()
                            .map(|info| described_partition(info))
                            .collect()),
                    },
                }
            })
            .collect()
    }
}

/// Numbers of an array of C; none where it is null.
///
/// # Safety
/// `array` is null or has `count` elements.
unsafe fn numbers(array: *const i32, count: i32) -> Vec<i32> {
    let count = if array.is_null() {
        0
    } else {
        usize::try_from(count).unwrap_or(0)
    };
    // SAFETY: as demanded of the caller.
    (0..count).map(|at| unsafe { *array.add(at) }).collect()
}

/// # Safety
/// `metadata` is from `rd_kafka_metadata` and alive.
pub(super) unsafe fn metadata(metadata: *const sys::rd_kafka_metadata) -> Vec<TopicView> {
    // SAFETY: alive, as demanded of the caller; lengths belong to their arrays. Codes are read
    // through addresses of numbers, as no reference may be made to an enum with an unknown value.
    unsafe {
        let (list, count) = ((*metadata).topics, (*metadata).topic_cnt);
        let count = if list.is_null() {
            0
        } else {
            usize::try_from(count).unwrap_or(0)
        };
        (0..count)
            .map(|at| {
                let topic = list.add(at).cast_const();
                let code = addr_of!((*topic).err).cast::<i32>().read();
                TopicView {
                    name: text((*topic).topic),
                    partitions: match code {
                        0 => Ok(partitions(topic)),
                        code => Err(Refused {
                            code,
                            text: meaning(code),
                        }),
                    },
                }
            })
            .collect()
    }
}

/// # Safety
/// `topic` is one of `rd_kafka_metadata` and alive.
unsafe fn partitions(topic: *const sys::rd_kafka_metadata_topic) -> Vec<PartitionView> {
    // SAFETY: as demanded of the caller.
    unsafe {
        let (list, count) = ((*topic).partitions, (*topic).partition_cnt);
        let count = if list.is_null() {
            0
        } else {
            usize::try_from(count).unwrap_or(0)
        };
        (0..count)
            .map(|at| {
                let partition = list.add(at).cast_const();
                PartitionView {
                    partition: (*partition).id,
                    leader: (*partition).leader,
                    replicas: numbers((*partition).replicas, (*partition).replica_cnt),
                    isr: numbers((*partition).isrs, (*partition).isr_cnt),
                }
            })
            .collect()
    }
}

pub(super) fn configs(event: &Event) -> Vec<(String, Result<Vec<ConfigView>, Refused>)> {
    // SAFETY: the event is alive; where it is of another kind, the result is null.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConfigs_result(event.0);
        if result.is_null() {
            return Vec::new();
        }
        let mut count = 0;
        let list = sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        items(list.cast(), count)
            .into_iter()
            .map(|resource: *const sys::rd_kafka_ConfigResource_t| {
                let name = text(sys::rd_kafka_ConfigResource_name(resource));
                let code = rd_kafka_ConfigResource_error(resource);
                if code != 0 {
                    let said = text(sys::rd_kafka_ConfigResource_error_string(resource));
                    let text = if said.is_empty() { meaning(code) } else { said };
                    return (name, Err(Refused { code, text }));
                }
                let mut count = 0;
                let entries = sys::rd_kafka_ConfigResource_configs(resource, &raw mut count);
                let entries = items(entries, count).into_iter().map(|entry| config(entry));
                (name, Ok(entries.collect()))
            })
            .collect()
    }
}

/// # Safety
/// See the module.
unsafe fn config(entry: *const sys::rd_kafka_ConfigEntry_t) -> ConfigView {
    // SAFETY: alive, as demanded of the caller.
    unsafe {
        let value = sys::rd_kafka_ConfigEntry_value(entry);
        ConfigView {
            name: text(sys::rd_kafka_ConfigEntry_name(entry)),
            value: (!value.is_null()).then(|| text(value)),
            source: rd_kafka_ConfigEntry_source(entry),
        }
    }
}

/// # Safety
/// See the module.
unsafe fn offset(partition: *const sys::rd_kafka_topic_partition_t) -> OffsetView {
    // SAFETY: alive, as demanded of the caller; the code is read as a number.
    unsafe {
        let code = addr_of!((*partition).err).cast::<i32>().read();
        OffsetView {
            place: Place {
                topic: text((*partition).topic),
                partition: (*partition).partition,
            },
            offset: match code {
                0 => Ok((*partition).offset),
                code => Err(Refused {
                    code,
                    text: meaning(code),
                }),
            },
        }
    }
}

pub(super) fn offsets(event: &Event) -> Vec<OffsetView> {
    // SAFETY: the event is alive; where it is of another kind, the result is null.
    unsafe {
        let result = sys::rd_kafka_event_ListOffsets_result(event.0);
        if result.is_null() {
            return Vec::new();
        }
        let mut count = 0;
        let list = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        items(list, count)
            .into_iter()
            .map(|info| offset(sys::rd_kafka_ListOffsetsResultInfo_topic_partition(info)))
            .collect()
    }
}
