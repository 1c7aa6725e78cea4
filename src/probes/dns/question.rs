//! A question on the wire.

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RecordType};

/// What we take in a datagram: it passes every path without being cut into fragments.
const UDP_PAYLOAD_BYTES: u16 = 1232;

/// A question in class IN.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub name: Name,
    pub kind: RecordType,
    /// Whether the server may ask others.
    pub recursion: bool,
    /// Whether the server is to hand out what it could not validate.
    pub checking_disabled: bool,
    /// Whether signatures are asked for; a server that does not know how answers `FORMERR`.
    pub edns: bool,
}

impl Question {
    /// A question to a resolver.
    pub(super) fn to_resolver(name: &Name, kind: RecordType) -> Self {
        Self {
            name: name.clone(),
            kind,
            recursion: true,
            checking_disabled: false,
            edns: true,
        }
    }

    /// A question to a server that is to answer from its own zones.
    pub(super) fn to_authority(name: &Name, kind: RecordType) -> Self {
        Self {
            recursion: false,
            ..Self::to_resolver(name, kind)
        }
    }

    /// The same with validation left to us.
    pub(super) fn unchecked(&self) -> Self {
        Self {
            checking_disabled: true,
            ..self.clone()
        }
    }

    /// The same without EDNS.
    pub(super) fn without_edns(&self) -> Self {
        Self {
            edns: false,
            ..self.clone()
        }
    }

    /// The message, under a random id unless `id` is given.
    pub(super) fn encode(&self, id: Option<u16>) -> Result<(u16, Vec<u8>), ProtoError> {
        let mut message = Message::query();
        if let Some(id) = id {
            message.metadata.id = id;
        }
        message.metadata.recursion_desired = self.recursion;
        message.metadata.checking_disabled = self.checking_disabled;
        message.metadata.authentic_data = self.edns;
        message.add_query(Query::query(self.name.clone(), self.kind));
        if self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD_BYTES);
            edns.set_dnssec_ok(true);
            message.set_edns(edns);
        }
        Ok((message.metadata.id, message.to_vec()?))
    }
}
