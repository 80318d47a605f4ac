"""Stacks beside each other."""

import unittest

from deployed import DeployedTest, Stack


class StacksTest(DeployedTest):
    def test_two_stacks_of_one_account_share_nothing(self):
        other = Stack(self.template, name="boathook-staging")
        self.assertEqual((self.stack.status, other.status), ("CREATE_COMPLETE", "CREATE_COMPLETE"))
        ids = {i for i in self.stack.ids.values() if i}
        self.assertGreater(len(ids), 30)
        self.assertEqual(ids & set(other.ids.values()), set())


if __name__ == "__main__":
    unittest.main()
