#include "services/session/presence/roster_book.hpp"

#include <gtest/gtest.h>
#include <tern/session/v1/session.pb.h>

namespace tern::session {
namespace {

constexpr uint32_t friends = v1::RELATION_ASKED | v1::RELATION_FRIEND;
constexpr uint32_t blocking = friends | v1::RELATION_BLOCKS;

roster_book::row row(uint64_t other, uint64_t version, uint32_t mine = friends, uint32_t theirs = friends) {
  return {account_id{other}, version, mine, theirs};
}

TEST(roster_book, reaches_friends_of_both_sides_that_block_neither_way) {
  roster_book book;
  book.load({row(5, 1), row(1, 1, blocking), row(3, 1, friends, blocking), row(4, 1, v1::RELATION_ASKED, 0),
             row(2, 1, friends, v1::RELATION_NONE)});
  EXPECT_TRUE(book.reaches(account_id{5}));
  for (const uint64_t other : {1, 2, 3, 4, 6}) EXPECT_FALSE(book.reaches(account_id{other})) << other;
  EXPECT_EQ(book.friends(), std::vector<account_id>{account_id{5}});
  EXPECT_EQ(book.size(), 5U);
}

TEST(roster_book, of_each_pair_the_highest_version_counts_in_whatever_order_they_come) {
  roster_book book;
  book.load({row(1, 3)});
  book.note(row(1, 2, blocking));
  EXPECT_TRUE(book.reaches(account_id{1}));
  book.note(row(1, 4, blocking));
  EXPECT_FALSE(book.reaches(account_id{1}));
  book.note(row(1, 4, friends));
  EXPECT_FALSE(book.reaches(account_id{1})) << "the same version again";
}

TEST(roster_book, a_change_that_came_while_the_roster_was_read_is_not_undone_by_it) {
  roster_book book;
  EXPECT_FALSE(book.loaded());
  book.note(row(1, 7, blocking));
  book.note(row(2, 1));
  book.load({row(1, 6), row(2, 2, v1::RELATION_NONE, v1::RELATION_NONE), row(3, 1)});
  EXPECT_TRUE(book.loaded());
  EXPECT_FALSE(book.reaches(account_id{1})) << "noted later than read";
  EXPECT_FALSE(book.reaches(account_id{2})) << "read later than noted";
  EXPECT_TRUE(book.reaches(account_id{3}));
}

TEST(roster_book, who_becomes_a_friend_is_reached_without_another_read) {
  roster_book book;
  book.load({});
  book.note(row(9, 1));
  EXPECT_TRUE(book.reaches(account_id{9}));
}

TEST(roster_book, says_who_may_be_written_to_and_why_not) {
  roster_book book;
  book.load({row(5, 1), row(1, 1, blocking), row(3, 1, friends, blocking), row(4, 1, v1::RELATION_ASKED, 0),
             row(2, 1, v1::RELATION_NONE, v1::RELATION_BLOCKS)});
  for (const bool open : {false, true}) {
    EXPECT_EQ(book.may_write(account_id{5}, open), errc::ok);
    EXPECT_EQ(book.may_write(account_id{1}, open), errc::permission_denied) << "blocked by oneself";
    EXPECT_EQ(book.may_write(account_id{3}, open), errc::blocked);
    EXPECT_EQ(book.may_write(account_id{2}, open), errc::blocked) << "also by a stranger";
    for (const uint64_t stranger : {4, 9}) {
      EXPECT_EQ(book.may_write(account_id{stranger}, open), open ? errc::ok : errc::permission_denied);
    }
  }
  EXPECT_TRUE(book.blocks(account_id{1}));
  for (const uint64_t other : {2, 3, 4, 5, 9}) EXPECT_FALSE(book.blocks(account_id{other})) << other;
}

}  // namespace
}  // namespace tern::session
