/// The version of a document as HTTP names it: its `_rev` in quotes. Revisions are positions in the store's history, so a tag is strong:
/// two documents with the same tag under one key are the same bytes.

package struct EntityTag: Equatable {
    package var revision: UInt64
    /// `W/"..."`: as good where it only saves an answer (`If-None-Match`), never for a write (`If-Match`).
    package var isWeak: Bool

    package init(revision: UInt64, isWeak: Bool = false) {
        self.revision = revision
        self.isWeak = isWeak
    }

    package var text: String { "\"\(revision)\"" }

    /// What `If-Match` or `If-None-Match` ask for.
    package enum Condition: Equatable {
        case any
        case tags([EntityTag])

        /// Reads `*` or a list of tags; nil when it is neither. Tags that this node never gave match nothing.
        package init?(_ text: String) {
            if text == "*" {
                self = .any
                return
            }
            var tags: [EntityTag] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                var tag = part.drop { $0 == " " || $0 == "\t" }
                while let last = tag.last, last == " " || last == "\t" { tag.removeLast() }
                let isWeak = tag.hasPrefix("W/")
                if isWeak { tag = tag.dropFirst(2) }
                guard tag.count >= 2, tag.first == "\"", tag.last == "\"" else { return nil }
                if let revision = UInt64(tag.dropFirst().dropLast()) {
                    tags.append(EntityTag(revision: revision, isWeak: isWeak))
                }
            }
            self = .tags(tags)
        }

        /// Weak comparison, for `If-None-Match`.
        package func matches(_ revision: UInt64) -> Bool {
            switch self {
            case .any: true
            case .tags(let tags): tags.contains { $0.revision == revision }
            }
        }

        /// The revisions that `If-Match` allows, by strong comparison; nil: every one.
        package var revisions: [UInt64]? {
            guard case .tags(let tags) = self else { return nil }
            return tags.filter { !$0.isWeak }.map(\.revision)
        }
    }
}
