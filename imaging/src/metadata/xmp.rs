//! XMP packets: single properties of an XML text, changed where they stand.

/// Sets a property that is there, as an attribute or as an element; all else stays as it is.
pub fn set(xml: &str, name: &str, value: &str) -> String {
    let mut out = String::with_capacity(xml.len());
    let mut rest = xml;
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = &from[name.len()..];
        let bounds = match before.chars().next_back() {
            Some('<') => element(after),
            Some(c) if c.is_whitespace() => attribute(after),
            _ => None,
        };
        match bounds {
            Some((start, end)) => {
                out.push_str(name);
                out.push_str(&after[..start]);
                out.push_str(value);
                rest = &after[end..];
            }
            None => {
                out.push_str(name);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the value of an attribute lies behind its name.
fn attribute(after: &str) -> Option<(usize, usize)> {
    let trimmed = after.trim_start();
    let trimmed = trimmed.strip_prefix('=')?.trim_start();
    let quote = trimmed.chars().next().filter(|q| matches!(q, '"' | '\''))?;
    let start = after.len() - trimmed.len() + 1;
    let len = after[start..].find(quote)?;
    Some((start, start + len))
}

/// Where the text of an element lies behind its name.
fn element(after: &str) -> Option<(usize, usize)> {
    let close = after.find('>')?;
    let tag = &after[..close];
    if tag.ends_with('/') || !(tag.is_empty() || tag.starts_with(char::is_whitespace)) {
        return None;
    }
    let start = close + 1;
    let len = after[start..].find('<')?;
    Some((start, start + len))
}

/// The value of a property.
pub fn get<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let mut from = 0;
    while let Some(at) = xml[from..].find(name) {
        let (before, after) = (&xml[..from + at], &xml[from + at + name.len()..]);
        let bounds = match before.chars().next_back() {
            Some('<') => element(after),
            Some(c) if c.is_whitespace() => attribute(after),
            _ => None,
        };
        if let Some((start, end)) = bounds {
            return Some(&after[start..end]);
        }
        from += at + name.len();
    }
    None
}

/// Without thumbnails, which show the picture as it was.
pub fn without_thumbnails(xml: &str) -> String {
    let mut out = xml.to_owned();
    for name in ["xmp:Thumbnails", "xap:Thumbnails"] {
        let (open, close) = (format!("<{name}"), format!("</{name}>"));
        while let Some(start) = out.find(&open) {
            let Some(len) = out[start..].find(&close) else {
                break;
            };
            out.replace_range(start..start + len + close.len(), "");
        }
    }
    out
}

/// For a picture that is upright and of this size.
pub fn adapted(xmp: &[u8], cols: usize, rows: usize) -> Vec<u8> {
    let Ok(xml) = std::str::from_utf8(xmp) else {
        return xmp.to_vec();
    };
    let mut xml = set(&without_thumbnails(xml), "tiff:Orientation", "1");
    for name in ["exif:PixelXDimension", "tiff:ImageWidth"] {
        xml = set(&xml, name, &cols.to_string());
    }
    for name in ["exif:PixelYDimension", "tiff:ImageLength"] {
        xml = set(&xml, name, &rows.to_string());
    }
    xml.into_bytes()
}

/// The first text of `dc:rights`.
pub fn rights(xmp: &[u8]) -> Option<String> {
    let xml = std::str::from_utf8(xmp).ok()?;
    let start = xml.find("<dc:rights>")? + "<dc:rights>".len();
    let inner = &xml[start..start + xml[start..].find("</dc:rights>")?];
    let text = match inner.find("<rdf:li") {
        Some(at) => {
            let from = at + inner[at..].find('>')? + 1;
            &inner[from..from + inner[from..].find('<')?]
        }
        None => inner,
    };
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let plain = (plain.iter()).fold(text.trim().to_owned(), |t, (a, b)| t.replace(a, b));
    Some(plain).filter(|text| !text.is_empty() && !inner.trim_start().starts_with("<!"))
}

/// The orientation 1..=8 that a packet names.
pub fn orientation(xmp: &[u8]) -> Option<u8> {
    let value = get(std::str::from_utf8(xmp).ok()?, "tiff:Orientation")?;
    value.trim().parse().ok().filter(|v| (1..=8).contains(v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_set_as_attributes_and_elements() {
        let xml = r#"<rdf:Description tiff:Orientation="6" x:tiff:Orientation="6"><exif:PixelXDimension>800</exif:PixelXDimension><exif:PixelXDimensions>7</exif:PixelXDimensions></rdf:Description>"#;
        let new = String::from_utf8(adapted(xml.as_bytes(), 40, 30)).unwrap();
        assert_eq!(
            new,
            r#"<rdf:Description tiff:Orientation="1" x:tiff:Orientation="6"><exif:PixelXDimension>40</exif:PixelXDimension><exif:PixelXDimensions>7</exif:PixelXDimensions></rdf:Description>"#
        );
        assert_eq!(orientation(xml.as_bytes()), Some(6));
        assert_eq!(orientation(b"<a tiff:Orientation='9'/>"), None);
    }

    #[test]
    fn rights_are_found_in_either_form() {
        let list = b"<dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>A &amp; B</rdf:li></rdf:Alt></dc:rights>";
        assert_eq!(rights(list).as_deref(), Some("A & B"));
        assert_eq!(rights(b"<dc:rights>me</dc:rights>").as_deref(), Some("me"));
        assert_eq!(rights(b"<dc:rights>me"), None);
    }

    #[test]
    fn thumbnails_are_removed() {
        let xml = "<a><xmp:Thumbnails><rdf:Alt>AAAA</rdf:Alt></xmp:Thumbnails><b/></a>";
        assert_eq!(without_thumbnails(xml), "<a><b/></a>");
        let open = "<a><xmp:Thumbnails>";
        assert_eq!(without_thumbnails(open), open);
    }
}
