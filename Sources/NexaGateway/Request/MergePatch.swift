/// JSON merge patch (RFC 7396) on MessagePack values: null takes a field away, an object is merged into an object, all else replaces.

import NexaWire

package enum MergePatch {
    /// `target` with `patch` merged in. The order of fields is that of the target; new ones stand behind.
    package static func apply(_ patch: MessagePackValue, to target: MessagePackValue?) -> MessagePackValue {
        guard case .map(let changes) = patch else { return patch }
        var entries = target?.mapValue ?? []
        for change in changes {
            let index = entries.firstIndex { $0.key == change.key }
            if change.value == .null {
                if let index { entries.remove(at: index) }
            } else if let index {
                entries[index].value = apply(change.value, to: entries[index].value)
            } else {
                entries.append(.init(key: change.key, value: apply(change.value, to: nil)))
            }
        }
        return .map(entries)
    }
}
