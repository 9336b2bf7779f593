// The structs of the TIM client protocol, as they go over the wire (Thrift compact protocol, bare structs; the JSON form
// uses the same names). Ids, names and types are a contract with existing clients: add optional fields only.
// libs/wire encodes and decodes them by its own description (libs/wire/fields.hpp); this file is what clients generate
// code from, and its generated C++ code is the oracle of libs/wire's tests.
namespace cpp tim
namespace java tim
namespace go tim
namespace js tim

struct TimError {
  1: optional i32 code
  2: optional string info
}

struct TimAck {
  1: required bool ok
  2: required i8 timType
  3: optional TimError error
  4: optional i64 t
  5: optional string n
  6: optional i64 t2
  7: optional string n2
}

struct TimReq {
  1: optional i32 rtype
  2: optional string node
  3: optional string node2
  4: optional i64 reqInt
  5: optional i64 reqInt2
  6: optional string reqStr
  7: optional string reqStr2
}

struct Tid {
  1: required string node
  2: optional string domain
  3: optional string resource
  4: optional i8 termtyp
  5: optional map<string, string> extend
}

struct TimAuth {
  1: optional string name
  2: optional string pwd
  3: optional string domain
  4: optional string resource
  5: optional i8 termtyp
  6: optional string token
  7: optional map<string, string> extend
}

struct TimMessage {
  1: required i8 msType
  2: required i8 odType
  3: optional i64 id
  4: optional i64 mid
  5: optional i32 bnType
  6: optional Tid fromTid
  7: optional Tid toTid
  8: optional Tid roomTid
  9: optional binary dataBinary
  10: optional string dataString
  11: optional bool isOffline
  12: optional i64 timestamp
  13: optional i16 udtype
  14: optional i16 udshow
  15: optional map<string, string> extend
  16: optional map<string, binary> extra
  17: optional list<string> ToList
}

struct TimMessageList {
  1: optional i64 id
  2: optional list<TimMessage> messageList
}

struct TimPresence {
  1: optional i64 id
  2: optional bool offline
  3: optional i8 subStatus
  4: optional Tid fromTid
  5: optional Tid toTid
  6: optional list<string> toList
  7: optional i16 show
  8: optional string status
  9: optional map<string, string> extend
  10: optional map<string, binary> extra
}

// A client may leave out id and fromNode: the server fills them.
struct TimStream {
  1: required i64 id
  2: required string VNode
  3: optional i8 dtype
  4: optional binary body
  5: required string fromNode
}

// "brithday" is the protocol's spelling.
struct TimUserBean {
  1: optional string name
  2: optional string nickName
  3: optional string brithday
  4: optional i8 gender
  5: optional string cover
  6: optional string area
  7: optional i64 createtime
  8: optional list<string> photoTidAlbum
  9: optional map<string, string> extend
  10: optional map<string, binary> extra
}

struct TimRoomBean {
  1: optional string founder
  2: optional list<string> managers
  3: optional string cover
  4: optional string topic
  5: optional string label
  6: optional i8 gtype
  7: optional i64 kind
  8: optional i64 createtime
  9: optional map<string, string> extend
  10: optional map<string, binary> extra
}

struct TimNodes {
  1: required i32 ntype
  2: optional list<string> nodelist
  3: optional map<string, TimUserBean> usermap
  4: optional map<string, TimRoomBean> roommap
  5: optional string node
}
