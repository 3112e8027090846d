/// Who writes and syncs the log at the end of a loop's round that committed something.
///
/// Inline, on the loop: no hop to the log thread and none back, which is worth tens of microseconds when few requests are under
/// way; but the loop serves nobody meanwhile. By the log thread: the loop goes on and the next group gathers while the disk
/// works, which is worth more when many are under way. A pure function over what the round did.

package struct FlushPolicy: Sendable {
    package enum Choice: Equatable, Sendable { case inline, logThread }

    /// Commits of one round up to which the loop syncs by itself.
    package var inlineCommitCountMax: Int

    package init(inlineCommitCountMax: Int = 16) { self.inlineCommitCountMax = inlineCommitCountMax }

    package func choose(commitCount: Int) -> Choice {
        commitCount <= inlineCommitCountMax ? .inline : .logThread
    }
}
