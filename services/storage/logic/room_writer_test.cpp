// Rooms, recalls, notices and profiles through the writer and the reads, on the store in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "libs/testing/fake_clock.hpp"
#include "libs/wire/codec.hpp"
#include "services/storage/logic/reads.hpp"
#include "services/storage/logic/room_keys.hpp"
#include "services/storage/logic/writer_engine.hpp"
#include "services/storage/testing/requests.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::ann;
using testing::ben;
using testing::cat;
using testing::harbour;
using testing::room_append;
using testing::room_change;
using testing::room_create;
using testing::talk_of;
using change = v1::RoomChange;

constexpr account_id dan{0x4444444444444444U};

errc code_of(const v1::StorageReply& reply) { return static_cast<errc>(reply.code()); }

class room_writer_test : public ::testing::Test {
 protected:
  room_writer_test() { EXPECT_TRUE(store_->migrate()); }

  std::unique_ptr<writer_engine> engine(uint64_t epoch) {
    writer_options how;
    how.shard = "s0";
    how.epoch = epoch;
    return std::make_unique<writer_engine>(how, time_, [this, epoch]() -> result<std::unique_ptr<writer_store>> {
      auto writer = store_->open_writer();
      if (!writer) return writer.error();
      if (auto held = (*writer)->acquire(epoch); !held) return held.error();
      return std::move(*writer);
    });
  }
  void put(v1::StorageRequest message) {
    std::vector<write_request> items(1);
    items[0].message = std::move(message);
    items[0].from = sink_;
    items[0].deadline = time_.now() + 1500ms;
    engine_->add(std::move(items));
  }
  std::vector<v1::StorageReply> run() {
    last_ = engine_->run();
    send_answers(last_.answers);
    return sink_->take();
  }
  v1::StorageReply one(v1::StorageRequest message) {
    put(std::move(message));
    auto replies = run();
    EXPECT_EQ(replies.size(), 1U);
    return replies.empty() ? v1::StorageReply{} : replies[0];
  }
  v1::StorageReply read(const v1::StorageRequest& request) {
    auto reader = store_->open_reader();
    auto reply = execute_read(**reader, request);
    EXPECT_TRUE(reply);
    return reply ? *reply : v1::StorageReply{};
  }
  v1::Room room() {
    auto ask = testing::request(1);
    ask.mutable_room_get()->set_room(harbour.value);
    ask.mutable_room_get()->set_domain("d");
    return read(ask).room();
  }
  /// Members (or barred accounts) and their bits, as the founder reads them.
  std::map<uint64_t, uint32_t> list(bool barred = false, account_id reader = ann) {
    auto ask = testing::request(1);
    auto& members = *ask.mutable_room_members();
    members.set_room(harbour.value);
    members.set_reader(reader.value);
    members.set_domain("d");
    members.set_barred(barred);
    const auto reply = read(ask);
    EXPECT_EQ(code_of(reply), errc::ok);
    std::map<uint64_t, uint32_t> out;
    for (int i = 0; i < reply.room_members().accounts_size(); ++i) {
      out[reply.room_members().accounts(i)] = reply.room_members().bits(i);
    }
    return out;
  }
  /// News of the last commit by recipient.
  std::multimap<uint64_t, session::v1::RoomMembership> news() {
    std::multimap<uint64_t, session::v1::RoomMembership> out;
    for (const auto& entry : last_.deliveries) {
      if (entry.has_room()) out.emplace(entry.account(), entry.room());
    }
    return out;
  }
  session::v1::RoomMembership news_to(account_id who) {
    const auto all = news();
    EXPECT_EQ(all.count(who.value), 1U);
    const auto at = all.find(who.value);
    return at == all.end() ? session::v1::RoomMembership{} : at->second;
  }

  tern::testing::fake_clock time_;
  std::unique_ptr<store> store_ = std::move(*open_store("memory:"));
  std::shared_ptr<testing::recording_sink> sink_ = std::make_shared<testing::recording_sink>();
  std::unique_ptr<writer_engine> engine_ = engine(1);
  round last_;
};

TEST_F(room_writer_test, a_room_is_made_once_by_its_key_and_tells_its_founder) {
  EXPECT_EQ(one(room_create(1, ann)).room_changed().version(), 1U);
  const auto told = news_to(ann);
  EXPECT_TRUE(told.changed());
  EXPECT_EQ(told.bits(), room_member | room_manager | room_founder);
  EXPECT_EQ(told.domain(), "d");
  EXPECT_EQ(code_of(one(room_create(2, ann))), errc::ok);  // the same key
  EXPECT_TRUE(last_.deliveries.empty());
  EXPECT_EQ(code_of(one(room_create(3, ann, v1::ROOM_OPEN, harbour, "other"))), errc::exists);
  EXPECT_EQ(code_of(one(room_create(4, ben))), errc::exists);
  engine_ = engine(2);  // nothing cached
  EXPECT_EQ(code_of(one(room_create(5, ann))), errc::ok);
  EXPECT_EQ(room().founder(), ann.value);
  EXPECT_EQ(room().kind(), v1::ROOM_OPEN);
  EXPECT_EQ(room().head(), 0U);
  wire::arena memory;
  const auto bytes = room().bean();
  const auto bean = wire::decode<wire::tim_room_bean>(wire::encoding::thrift, bytes, memory);
  ASSERT_TRUE(bean);
  EXPECT_EQ(bean->topic, "harbour");
  EXPECT_EQ(bean->founder, to_node(ann));
  auto nameless = room_create(6, ann, v1::ROOM_OPEN, room_id{9});
  nameless.mutable_room_create()->clear_name();
  EXPECT_EQ(code_of(one(nameless)), errc::bad_parameter);
  EXPECT_EQ(code_of(one(room_create(7, ann, v1::ROOM_KIND_NONE, room_id{9}))), errc::bad_parameter);
}

TEST_F(room_writer_test, members_write_in_order_without_any_outbox_row) {
  put(room_create(1, ann));
  put(room_change(2, ben, change::APPLY));
  put(room_append(3, ann, "a"));
  put(room_append(4, ben, "b"));
  put(room_append(5, cat, "c"));
  put(room_append(6, ann, "a"));
  const auto replies = run();
  ASSERT_EQ(replies.size(), 6U);
  EXPECT_EQ(replies[2].appended().mid(), 1U);
  EXPECT_EQ(replies[3].appended().mid(), 2U);
  EXPECT_EQ(code_of(replies[4]), errc::permission_denied);
  EXPECT_EQ(replies[5].appended().mid(), 1U);
  EXPECT_TRUE(replies[5].appended().duplicate());
  for (const auto& entry : last_.deliveries) EXPECT_FALSE(entry.has_message());
  EXPECT_EQ(code_of(one(room_append(7, ann, "a", "body", room_id{5}))), errc::no_such_object);
  engine_ = engine(2);
  EXPECT_EQ(one(room_append(8, ben, "b")).appended().mid(), 2U);
  EXPECT_EQ(one(room_append(9, ben, "d")).appended().mid(), 3U);
  EXPECT_TRUE(last_.deliveries.empty());
  EXPECT_EQ(room().head(), 3U);
}

TEST_F(room_writer_test, changes_of_one_room_in_one_batch_see_each_other) {
  put(room_create(1, ann, v1::ROOM_PRIVATE));
  put(room_change(2, ben, change::APPLY, {}, "let me in"));
  put(room_change(3, ben, change::APPLY));
  put(room_change(4, ann, change::PULL_IN, ben));
  put(room_append(5, ben, "k"));
  put(room_change(6, ann, change::BAR, ben));
  put(room_append(7, ben, "l"));
  put(room_change(8, ben, change::APPLY));
  put(room_change(9, ann, change::CANCEL));
  put(room_append(10, ann, "m"));
  put(room_append(11, ben, "m"));
  const auto replies = run();
  ASSERT_EQ(replies.size(), 11U);
  const std::vector<errc> wanted{errc::ok,
                                 errc::ok,
                                 errc::repeated,
                                 errc::ok,
                                 errc::ok,
                                 errc::ok,
                                 errc::permission_denied,
                                 errc::blocked,
                                 errc::ok,
                                 errc::cancelled_object,
                                 errc::permission_denied};
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(code_of(replies[i]), wanted[i]) << i;
  EXPECT_TRUE(replies[3].room_changed().was_applicant());
  ASSERT_EQ(replies[5].room_changed().gone_size(), 1);
  EXPECT_EQ(replies[5].room_changed().gone(0), ben.value);
  EXPECT_EQ(replies[8].room_changed().version(), 5U);
  EXPECT_TRUE(room().cancelled());
  EXPECT_EQ(room().head(), 1U);
  std::vector<uint32_t> told_ben;
  for (const auto& [who, what] : news()) {
    if (who == ben.value) told_ben.push_back(what.notice_bn_type());
  }
  EXPECT_EQ(told_ben, (std::vector<uint32_t>{0, 10, 15}));
}

TEST_F(room_writer_test, an_application_is_told_to_the_founder_and_all_managers) {
  one(room_create(1, ann, v1::ROOM_PRIVATE));
  one(room_change(2, ann, change::PULL_IN, ben));
  EXPECT_EQ(news_to(ben).notice_bn_type(), 12U);
  wire::tim_room_bean bean;
  const auto ben_node = to_node(ben);
  bean.managers = {ben_node};
  auto appoint = room_change(3, ann, change::PROFILE);
  appoint.mutable_room_change()->set_bean(wire::encode(wire::encoding::thrift, bean));
  EXPECT_EQ(code_of(one(appoint)), errc::ok);
  EXPECT_EQ(news_to(ben).bits(), room_member | room_manager);
  engine_ = engine(2);  // what managers are is not in any cache
  const auto reply = one(room_change(4, cat, change::APPLY, {}, "please"));
  EXPECT_FALSE(reply.room_changed().joined());
  EXPECT_EQ(news().size(), 3U);
  EXPECT_EQ(news_to(cat).bits(), room_applied);
  EXPECT_EQ(news_to(cat).notice_bn_type(), 0U);
  for (const auto manager : {ann, ben}) {
    const auto told = news_to(manager);
    EXPECT_FALSE(told.changed());
    EXPECT_EQ(told.notice_bn_type(), 9U);
    EXPECT_EQ(told.actor(), cat.value);
    EXPECT_EQ(told.text(), "please");
    EXPECT_TRUE((told.bits() & room_manager) != 0);
  }
  const auto refused = one(room_change(5, ben, change::REFUSE, cat, "full"));
  EXPECT_EQ(code_of(refused), errc::ok);
  EXPECT_EQ(news_to(cat).notice_bn_type(), 11U);
  EXPECT_EQ(news_to(cat).text(), "full");
  EXPECT_EQ(code_of(one(room_change(6, ben, change::REFUSE, cat))), errc::expired);
}

TEST_F(room_writer_test, the_profile_of_a_room_changes_by_the_fields_given_and_managers_by_the_founder_alone) {
  one(room_create(1, ann));
  for (const auto who : {ben, cat}) one(room_change(2, who, change::APPLY));
  const auto profile = [&](account_id actor, const wire::tim_room_bean& bean) {
    auto ask = room_change(3, actor, change::PROFILE);
    ask.mutable_room_change()->set_bean(wire::encode(wire::encoding::thrift, bean));
    return one(ask);
  };
  wire::tim_room_bean label;
  label.label = "tea";
  EXPECT_EQ(code_of(profile(ben, label)), errc::permission_denied);
  const auto ben_node = to_node(ben), cat_node = to_node(cat), dan_node = to_node(dan), ann_node = to_node(ann);
  wire::tim_room_bean managers;
  managers.managers = {ben_node, ann_node};
  EXPECT_EQ(code_of(profile(cat, managers)), errc::permission_denied);
  EXPECT_EQ(code_of(profile(ann, managers)), errc::ok);
  EXPECT_EQ(list().at(ben.value), room_member | room_manager);
  EXPECT_EQ(code_of(profile(ben, label)), errc::ok);
  EXPECT_TRUE(last_.deliveries.empty());
  EXPECT_EQ(code_of(profile(ben, managers)), errc::permission_denied);  // not even himself
  managers.managers = {dan_node};
  EXPECT_EQ(code_of(profile(ann, managers)), errc::bad_parameter);  // no member
  engine_ = engine(2);
  managers.managers = {cat_node};
  EXPECT_EQ(code_of(profile(ann, managers)), errc::ok);
  EXPECT_EQ(list().at(ben.value), uint32_t{room_member});
  EXPECT_EQ(list().at(cat.value), room_member | room_manager);
  EXPECT_EQ(news_to(ben).bits(), uint32_t{room_member});
  EXPECT_EQ(news_to(ben).since(), 0U);  // it has been there before: what it has not had waits on
  wire::arena memory;
  const auto bytes = room().bean();
  const auto bean = wire::decode<wire::tim_room_bean>(wire::encoding::thrift, bytes, memory);
  ASSERT_TRUE(bean);
  EXPECT_EQ(bean->topic, "harbour");
  EXPECT_EQ(bean->label, "tea");
  EXPECT_EQ(*bean->managers, std::vector<wire::text>{cat_node});
  one(room_change(4, cat, change::LEAVE));
  const auto later = room().bean();
  EXPECT_TRUE(wire::decode<wire::tim_room_bean>(wire::encoding::thrift, later, memory)->managers->empty());
}

TEST_F(room_writer_test, only_who_belongs_there_reads) {
  one(room_create(1, ann));
  one(room_append(2, ann, "a"));
  one(room_change(3, ben, change::APPLY));
  one(room_change(4, ann, change::BAR, cat));
  EXPECT_EQ(read(testing::read_room(1, ben)).page().rows_size(), 1);
  EXPECT_EQ(read(testing::read_room(1, account_id{0})).page().rows_size(), 1);  // a service
  EXPECT_EQ(code_of(read(testing::read_room(1, cat))), errc::permission_denied);
  EXPECT_EQ(code_of(read(testing::read_room(1, ann, room_id{5}))), errc::permission_denied);
  EXPECT_EQ(list().size(), 2U);
  EXPECT_EQ(list(true).at(cat.value), uint32_t{room_barred});
  auto ask = testing::request(1);
  auto& members = *ask.mutable_room_members();
  members.set_room(harbour.value);
  members.set_reader(cat.value);
  members.set_domain("d");
  EXPECT_EQ(code_of(read(ask)), errc::permission_denied);
  members.set_reader(ben.value);
  members.set_limit(1);
  EXPECT_EQ(read(ask).room_members().accounts_size(), 1);
  EXPECT_TRUE(read(ask).room_members().more());
  members.set_barred(true);
  EXPECT_EQ(code_of(read(ask)), errc::permission_denied);
  members.set_domain("e");
  EXPECT_EQ(code_of(read(ask)), errc::no_such_object);
}

TEST_F(room_writer_test, a_permit_is_for_two_members_of_the_room_and_its_domain) {
  one(room_create(1, ann));
  one(room_change(2, ben, change::APPLY));
  auto ask = testing::request(1);
  auto& permit = *ask.mutable_room_permit();
  permit.set_room(harbour.value);
  permit.set_one(ann.value);
  permit.set_other(ben.value);
  permit.set_domain("d");
  EXPECT_EQ(code_of(read(ask)), errc::ok);
  permit.set_other(cat.value);
  EXPECT_EQ(code_of(read(ask)), errc::permission_denied);
  permit.set_domain("e");
  EXPECT_EQ(code_of(read(ask)), errc::no_such_object);
  one(room_change(3, ben, change::LEAVE));
  one(room_change(4, ann, change::CANCEL));
  permit.set_domain("d");
  EXPECT_EQ(code_of(read(ask)), errc::cancelled_object);
  auto get = testing::request(1);
  get.mutable_room_get()->set_room(harbour.value);
  EXPECT_EQ(code_of(read(get)), errc::no_such_object);
  get.mutable_room_get()->set_any_domain(true);
  EXPECT_TRUE(read(get).room().cancelled());
}

TEST_F(room_writer_test, a_recall_in_a_pair_empties_the_message_and_goes_to_the_other_side) {
  for (uint64_t i = 1; i <= 3; ++i) one(testing::append(i, ann, ben, "k" + std::to_string(i)));
  const auto talk = talk_of(ann, ben);
  EXPECT_EQ(code_of(one(testing::recall(4, talk, ben, 2))), errc::permission_denied);        // not the author
  EXPECT_EQ(code_of(one(testing::recall(5, talk, ann, 2, true))), errc::permission_denied);  // burns one's own
  EXPECT_EQ(code_of(one(testing::recall(6, talk, cat, 2))), errc::permission_denied);
  EXPECT_EQ(code_of(one(testing::recall(7, talk, ann, 9))), errc::bad_parameter);
  EXPECT_EQ(code_of(one(testing::recall(8, talk_of(ann, cat), ann, 1))), errc::bad_parameter);
  const auto done = one(testing::recall(9, talk, ann, 2));
  EXPECT_EQ(done.appended().mid(), 4U);
  EXPECT_FALSE(done.appended().duplicate());
  ASSERT_EQ(last_.deliveries.size(), 1U);
  EXPECT_EQ(last_.deliveries[0].account(), ben.value);
  EXPECT_EQ(last_.deliveries[0].message().target(), 2U);
  EXPECT_EQ(last_.deliveries[0].message().mid(), 4U);
  const auto again = one(testing::recall(10, talk, ann, 2));
  EXPECT_EQ(again.appended().mid(), 4U);
  EXPECT_TRUE(again.appended().duplicate());
  EXPECT_TRUE(last_.deliveries.empty());
  EXPECT_EQ(code_of(one(testing::recall(11, talk, ann, 4))), errc::bad_parameter);  // a recall itself
  // The other side burns what is gone already: fine, and nothing happens.
  EXPECT_TRUE(one(testing::recall(12, talk, ben, 2, true)).appended().duplicate());
  EXPECT_TRUE(last_.deliveries.empty());
  EXPECT_EQ(one(testing::recall(13, talk, ben, 3, true)).appended().mid(), 5U);
  EXPECT_EQ(last_.deliveries.at(0).account(), ann.value);
  engine_ = engine(2);
  EXPECT_EQ(one(testing::recall(14, talk, ann, 2)).appended().mid(), 4U);
  // The message's key stays: a retry of it is answered with its place.
  EXPECT_EQ(one(testing::append(15, ann, ben, "k2")).appended().mid(), 2U);

  const auto page = read(testing::read_all(1, ben, ann)).page();
  ASSERT_EQ(page.rows_size(), 3);
  EXPECT_EQ(page.rows(0).mid(), 1U);
  EXPECT_EQ(page.rows(1).target(), 2U);
  EXPECT_EQ(page.rows(1).body(), "recall of 2");
  EXPECT_EQ(page.rows(2).target(), 3U);
  auto listed = testing::read_all(1, ben, ann);
  listed.mutable_read()->set_listed_only(true);
  EXPECT_EQ(read(listed).page().rows_size(), 1);
}

TEST_F(room_writer_test, a_recall_sees_what_its_own_batch_has_stored_and_recalled) {
  put(testing::append(1, ann, ben, "k"));
  put(testing::recall(2, talk_of(ann, ben), ann, 1));
  put(testing::recall(3, talk_of(ann, ben), ben, 1, true));
  put(testing::recall(4, talk_of(ann, ben), ann, 1));
  const auto replies = run();
  ASSERT_EQ(replies.size(), 4U);
  EXPECT_EQ(replies[1].appended().mid(), 2U);
  EXPECT_TRUE(replies[2].appended().duplicate());
  EXPECT_EQ(replies[3].appended().mid(), 2U);
  EXPECT_TRUE(replies[3].appended().duplicate());
  ASSERT_EQ(last_.deliveries.size(), 2U);
  // Read from the table later, the recalled message has nothing to tell any more.
  const auto scanned = engine_->scan(0, 10);
  ASSERT_EQ(scanned->size(), 2U);
  EXPECT_FALSE((*scanned)[0].has_message());
  EXPECT_EQ((*scanned)[1].message().target(), 1U);
}

TEST_F(room_writer_test, a_recall_in_a_room_is_for_its_author_while_a_member) {
  one(room_create(1, ann));
  one(room_change(2, ben, change::APPLY));
  one(room_append(3, ben, "k"));
  one(room_append(4, ben, "l"));
  const auto talk = room_conversation(harbour);
  EXPECT_EQ(code_of(one(testing::recall(5, talk, ann, 1))), errc::permission_denied);
  EXPECT_EQ(code_of(one(testing::recall(6, talk, ann, 1, true))), errc::bad_parameter);
  EXPECT_EQ(code_of(one(testing::recall(7, talk, ben, 7))), errc::bad_parameter);
  EXPECT_EQ(code_of(one(testing::recall(8, room_conversation(room_id{5}), ben, 1))), errc::permission_denied);
  EXPECT_EQ(one(testing::recall(9, talk, ben, 1)).appended().mid(), 3U);
  EXPECT_TRUE(last_.deliveries.empty());
  EXPECT_EQ(read(testing::read_room(1, ann)).page().rows(1).target(), 1U);
  one(room_change(10, ben, change::LEAVE));
  EXPECT_EQ(code_of(one(testing::recall(11, talk, ben, 2))), errc::permission_denied);
  EXPECT_EQ(one(testing::recall(12, talk, ben, 1)).appended().mid(), 3U);  // it was done, although he has left since
}

TEST_F(room_writer_test, unlisted_messages_are_drained_but_are_no_history) {
  auto ask = testing::append(1, ann, ben, "k");
  ask.mutable_append()->set_unlisted(true);
  one(ask);
  EXPECT_EQ(last_.deliveries.size(), 1U);
  EXPECT_EQ(read(testing::read_all(1, ben, ann)).page().rows_size(), 1);
  auto listed = testing::read_all(1, ben, ann);
  listed.mutable_read()->set_listed_only(true);
  EXPECT_EQ(read(listed).page().rows_size(), 0);
  EXPECT_EQ(read(listed).page().head(), 1U);
}

TEST_F(room_writer_test, an_account_lists_its_rooms_by_the_newest_version_with_its_position) {
  const auto row = [&](uint64_t version, uint32_t bits, uint64_t since) {
    auto ask = testing::request(1);
    auto& put_row = *ask.mutable_account_room_put();
    put_row.set_account(ben.value);
    put_row.set_room(harbour.value);
    put_row.set_version(version);
    put_row.set_bits(bits);
    put_row.set_since(since);
    return ask;
  };
  const auto rooms = [&] {
    auto ask = testing::request(1);
    ask.mutable_account_rooms()->set_account(ben.value);
    return read(ask).account_rooms();
  };
  put(row(3, room_member, 7));
  put(row(2, room_none, 0));
  put(row(4, room_member | room_manager, 0));
  run();
  put(row(5, room_member, 0));
  run();
  ASSERT_EQ(rooms().rows_size(), 1);
  EXPECT_EQ(rooms().rows(0).delivered(), 7U);
  EXPECT_EQ(rooms().rows(0).version(), 5U);
  const auto advance = [&](uint64_t to, v1::CursorPut::Kind kind = v1::CursorPut::ADVANCE) {
    auto ask = testing::request(1);
    auto& cursor = *ask.mutable_cursor_put();
    cursor.set_account(ben.value);
    to_proto(room_conversation(harbour), *cursor.mutable_conversation());
    cursor.set_delivered(to);
    cursor.set_kind(kind);
    return ask;
  };
  put(advance(12));
  put(advance(9));  // never backwards
  run();
  one(advance(10));
  EXPECT_EQ(rooms().rows(0).delivered(), 12U);
  EXPECT_EQ(code_of(one(advance(20, v1::CursorPut::MARK))), errc::bad_parameter);
  auto backlog = testing::request(1);
  backlog.mutable_backlog()->set_account(ben.value);
  EXPECT_EQ(read(backlog).backlog().rows_size(), 0);  // a room's position is no dirty conversation
  one(row(6, room_none, 0));
  EXPECT_EQ(rooms().rows_size(), 0);
  one(row(5, room_member, 0));  // late
  EXPECT_EQ(rooms().rows_size(), 0);
}

TEST_F(room_writer_test, a_notice_is_kept_and_brought_once) {
  auto ask = testing::request(1);
  ask.mutable_notice_put()->set_account(ben.value);
  ask.mutable_notice_put()->set_id(5);
  ask.mutable_notice_put()->set_body("notice");
  put(ask);
  put(ask);
  run();
  ASSERT_EQ(last_.deliveries.size(), 1U);
  EXPECT_EQ(last_.deliveries[0].notice().id(), 5U);
  EXPECT_EQ(last_.deliveries[0].notice().body(), "notice");
  one(ask);
  EXPECT_TRUE(last_.deliveries.empty());
  EXPECT_EQ(engine_->scan(0, 10)->at(0).notice().body(), "notice");
  auto backlog = testing::request(1);
  backlog.mutable_backlog()->set_account(ben.value);
  ASSERT_EQ(read(backlog).backlog().notices_size(), 1);
  ask.mutable_notice_put()->set_id(0);
  EXPECT_EQ(code_of(one(ask)), errc::bad_parameter);
}

TEST_F(room_writer_test, a_profile_is_merged_from_what_was_given_over_time) {
  {
    auto writer = store_->open_writer();
    ASSERT_TRUE((*writer)->acquire(1));
    write_batch batch;
    batch.accounts.push_back({ben, std::string(32, 'n'), "d", "hash", 77});
    ASSERT_TRUE((*writer)->commit(batch));
  }
  const auto given = [&](account_id who, const wire::tim_user_bean& bean) {
    auto ask = testing::request(1);
    ask.mutable_profile_put()->set_account(who.value);
    ask.mutable_profile_put()->set_bean(wire::encode(wire::encoding::thrift, bean));
    return ask;
  };
  wire::tim_user_bean name, area;
  name.name = "ben";
  area.area = "north";
  put(given(ben, name));
  put(given(ben, area));
  put(given(cat, area));
  const auto replies = run();
  EXPECT_EQ(code_of(replies.at(1)), errc::ok);
  EXPECT_EQ(code_of(replies.at(2)), errc::bad_account);
  auto get = testing::request(1);
  get.mutable_profile_get()->add_accounts(ben.value);
  get.mutable_profile_get()->add_accounts(cat.value);
  get.mutable_profile_get()->set_domain("d");
  const auto found = read(get).profiles();
  ASSERT_EQ(found.rows_size(), 1);
  wire::arena memory;
  const auto bean = wire::decode<wire::tim_user_bean>(wire::encoding::thrift, found.rows(0).bean(), memory);
  ASSERT_TRUE(bean);
  EXPECT_EQ(bean->name, "ben");
  EXPECT_EQ(bean->area, "north");
  EXPECT_EQ(bean->createtime, 77);
  get.mutable_profile_get()->set_domain("e");
  EXPECT_EQ(read(get).profiles().rows_size(), 0);
  auto nonsense = given(ben, name);
  nonsense.mutable_profile_put()->set_bean("\xff\xff");
  EXPECT_EQ(code_of(one(nonsense)), errc::bad_parameter);
}

TEST_F(room_writer_test, room_ids_are_no_pairs_and_pairs_are_no_rooms) {
  one(room_create(1, ann));
  auto append = testing::append(2, ann, ben, "k");
  to_proto(room_conversation(harbour), *append.mutable_append()->mutable_conversation());
  EXPECT_EQ(code_of(one(append)), errc::bad_parameter);
  auto relate = testing::relate(3, ann, ben, v1::Relate::ADD);
  to_proto(room_conversation(harbour), *relate.mutable_relate()->mutable_conversation());
  EXPECT_EQ(code_of(one(relate)), errc::bad_parameter);
}

}  // namespace
}  // namespace tern::storage
