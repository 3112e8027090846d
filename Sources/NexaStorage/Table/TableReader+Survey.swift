import CSupport

/// An entry as a survey shows it; its bytes are valid until the callback returns.
package struct SurveyedEntry {
    package let kind: OpKind
    package let key: UnsafeRawBufferPointer
    package let value: UnsafeRawBufferPointer
    package let lsn: LSN
}

extension TableReader {
    /// Shows every entry that can be read and every data block that cannot: a damaged block hides no other. For tools; `verify` checks
    /// more. `entry` answers whether it wants further entries; damage is looked for all the same.
    package func survey(entry: (SurveyedEntry) -> Bool, damage: (StorageError) -> Void) {
        guard let index else { return }
        var wantsEntries = true
        for ordinal in 0..<index.count {
            let loaded: UnsafeMutablePointer<LoadedBlock>
            do throws(StorageError) {
                // Block by block: a read of several would fail as one.
                var block = TableReadAhead()
                loaded = try block.block(ordinal, of: index, in: self)
            } catch {
                damage(error)
                continue
            }
            defer { LoadedBlock.free(loaded) }
            guard wantsEntries else { continue }
            loaded.withEntries { found in
                guard wantsEntries, let kind = OpKind(rawValue: found.kind) else { return }
                wantsEntries = entry(
                    SurveyedEntry(
                        kind: kind, key: UnsafeRawBufferPointer(start: found.key, count: Int(found.key_len)),
                        value: UnsafeRawBufferPointer(start: found.value, count: Int(found.value_len)), lsn: found.lsn))
            }
        }
    }
}

extension UnsafeMutablePointer<LoadedBlock> {
    /// Calls `body` for every entry, in order.
    func withEntries(_ body: (nexa_entry) -> Void) {
        withUnsafeTemporaryAllocation(
            of: UInt8.self, capacity: Int(pointee.block.key_len_max) + Int(NEXA_KEY_BUFFER_SLACK)
        ) { buffer in
            var cursor = nexa_block_cursor()
            cursor.key_buffer = buffer.baseAddress
            cursor.key_capacity = buffer.count
            _ = nexa_block_cursor_attach(&cursor, &pointee.block)
            nexa_block_cursor_first(&cursor)
            while cursor.entry.valid {
                body(cursor.entry)
                nexa_block_cursor_next(&cursor)
            }
        }
    }
}
