import NexaWire

/// Writes one field of a delimited file.
package enum DelimitedText {
    /// Appends `field`, in quotes where its bytes or `isQuoted` ask for them.
    package static func write(_ field: some Collection<UInt8>, delimiter: UInt8, isQuoted: Bool, into output: OutputBytes) {
        let quote = UInt8(ascii: "\"")
        let isSpecial = { (byte: UInt8) in byte == quote || byte == delimiter || byte == 0x0A || byte == 0x0D }
        guard isQuoted || field.contains(where: isSpecial) else {
            for byte in field { output.appendU8(byte) }
            return
        }
        output.appendU8(quote)
        for byte in field {
            if byte == quote { output.appendU8(quote) }
            output.appendU8(byte)
        }
        output.appendU8(quote)
    }
}
