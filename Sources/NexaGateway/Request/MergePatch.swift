/// JSON merge patch (RFC 7396) on MessagePack values: null takes a field away, an object is merged into an object, all else replaces.
///
/// The cost grows with the sizes of target and patch, not with their product: a field is looked up, not searched for.

import NexaWire

package enum MergePatch {
    /// `target` with `patch` merged in. The order of fields is that of the target; new ones stand behind.
    package static func apply(_ patch: MessagePackValue, to target: MessagePackValue?) -> MessagePackValue {
        guard case .map(let changes) = patch else { return patch }
        var entries: [MessagePackValue.Entry?] = target?.mapValue ?? []
        var places: [String: Int] = [:]
        for (place, entry) in entries.enumerated() {
            if let name = entry?.key.stringValue { places[name] = place }
        }
        for change in changes {
            // Keys of JSON are text.
            guard let name = change.key.stringValue else { continue }
            if change.value == .null {
                if let place = places.removeValue(forKey: name) { entries[place] = nil }
            } else if let place = places[name], let old = entries[place]?.value {
                entries[place]?.value = apply(change.value, to: old)
            } else {
                places[name] = entries.count
                entries.append(.init(key: change.key, value: apply(change.value, to: nil)))
            }
        }
        return .map(entries.compactMap(\.self))
    }
}
