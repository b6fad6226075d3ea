//! What outputs are called: one rule, for batches and for jobs.
//!
//! Without a template an output keeps its input's name: an extension that an image format has is replaced by one of the
//! output's format, unless it is one already; anything else after a dot (`frame.001`) belongs to the name.

use imaging::codec::FormatKind;
use imaging::op::nearest;
use protocol::name;
use std::collections::{BTreeSet, HashMap};
use std::path::Component;

/// What an output's name is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The input's path below what the user named, as text without loss.
    pub relative: &'a str,
    /// What the input is.
    pub own: FormatKind,
    /// What the output is to be.
    pub format: FormatKind,
    /// Number of the input in its job, from 1.
    pub index: u64,
    /// Number of the picture in its file, from 1, where a file's pictures become files of their own.
    pub page: Option<u32>,
    /// Width and height of the output.
    pub size: (usize, usize),
    /// SHA-256 of the input in hexadecimal digits, where the template asks for it.
    pub sha256: &'a str,
}

/// A user's own rule: text with keys in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Key(Key),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Dir,
    Stem,
    Ext,
    Name,
    Format,
    Page,
    Index,
    Width,
    Height,
    Hash8,
}

const KEYS: [(&str, Key); 10] = [
    ("dir", Key::Dir),
    ("stem", Key::Stem),
    ("ext", Key::Ext),
    ("name", Key::Name),
    ("format", Key::Format),
    ("page", Key::Page),
    ("index", Key::Index),
    ("width", Key::Width),
    ("height", Key::Height),
    ("hash8", Key::Hash8),
];

/// Templates that are offered against a clash, the plainest first.
const MENDING: [&str; 2] = ["{stem}-{ext}.{format}", "{index}-{stem}.{format}"];

impl Template {
    /// Reads a template such as `{stem}-{ext}.{format}`. An error names the keys that there are.
    pub fn parse(text: &str) -> Result<Template, String> {
        let known = || {
            let keys: Vec<String> = KEYS.iter().map(|(key, _)| format!("{{{key}}}")).collect();
            keys.join(", ")
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let at = rest.find(['{', '}']).unwrap_or(rest.len());
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            rest = &rest[at..];
            if rest.is_empty() {
                break;
            }
            let inner = rest
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'))
                .filter(|(key, _)| !key.contains('{'));
            let Some((key, after)) = inner else {
                let brace = &rest[..1];
                return Err(format!(
                    "`{text}`: a `{brace}` without its other half (known: {})",
                    known()
                ));
            };
            match KEYS.iter().find(|(name, _)| *name == key) {
                Some((_, key)) => parts.push(Part::Key(*key)),
                None => {
                    let near = nearest(key, KEYS.iter().map(|(name, _)| *name));
                    let hint = near.map_or(String::new(), |n| format!("; did you mean {{{n}}}?"));
                    return Err(format!(
                        "`{text}`: there is no key {{{key}}} (known: {}{hint})",
                        known()
                    ));
                }
            }
            rest = after;
        }
        if !parts.iter().any(|part| matches!(part, Part::Key(_))) {
            return Err(format!(
                "`{text}` names every output the same (use some of {})",
                known()
            ));
        }
        Ok(Template(parts))
    }

    fn has(&self, key: Key) -> bool {
        self.0.contains(&Part::Key(key))
    }

    /// Whether names need the hashes of inputs.
    pub fn needs_hash(&self) -> bool {
        self.has(Key::Hash8)
    }

    /// Whether names count inputs.
    pub fn needs_index(&self) -> bool {
        self.has(Key::Index)
    }

    /// Whether names depend on more than an input's own name, kind and number.
    pub fn needs_pixels(&self) -> bool {
        [Key::Width, Key::Height, Key::Hash8]
            .iter()
            .any(|key| self.has(*key))
    }

    /// Whether it says itself where an output lies; otherwise that is where its input lies.
    fn is_path(&self) -> bool {
        let slash = |part: &Part| matches!(part, Part::Text(text) if text.contains('/'));
        self.has(Key::Dir) || self.0.iter().any(slash)
    }

    fn fill(&self, facts: &Facts<'_>) -> String {
        let relative = facts.relative;
        let (dir, file) = relative.rsplit_once('/').unwrap_or(("", relative));
        let (stem, ext) = split(file);
        let mut text = String::new();
        if !self.is_path() && !dir.is_empty() {
            text = format!("{dir}/");
        }
        for part in &self.0 {
            match part {
                Part::Text(part) => {
                    // Nothing before it: what follows the directory is no root.
                    let part = match text.is_empty() {
                        true => part.trim_start_matches('/'),
                        false => part,
                    };
                    text += &part.replace('\\', "\\\\");
                }
                Part::Key(Key::Dir) => text += dir,
                Part::Key(Key::Stem) => text += stem,
                Part::Key(Key::Ext) => text += ext.unwrap_or(facts.own.extensions()[0]),
                Part::Key(Key::Name) => text += file,
                Part::Key(Key::Format) => text += facts.format.extensions()[0],
                Part::Key(Key::Page) => text += &format!("{:04}", facts.page.unwrap_or(1)),
                Part::Key(Key::Index) => text += &format!("{:04}", facts.index),
                Part::Key(Key::Width) => text += &facts.size.0.to_string(),
                Part::Key(Key::Height) => text += &facts.size.1.to_string(),
                Part::Key(Key::Hash8) => text += facts.sha256.get(..8).unwrap_or(facts.sha256),
            }
        }
        text
    }
}

/// A file's name without the extension of an image format, and that extension.
fn split(file: &str) -> (&str, Option<&str>) {
    match file.rsplit_once('.') {
        Some((stem, ext)) if !stem.is_empty() && FormatKind::from_extension(ext).is_some() => {
            (stem, Some(ext))
        }
        _ => (file, None),
    }
}

/// A path without the extension of an image format.
pub fn stem(relative: &str) -> &str {
    let at = relative.rfind('/').map_or(0, |at| at + 1);
    &relative[..at + split(&relative[at..]).0.len()]
}

/// The format that the extension of a path names.
pub fn kind_of(relative: &str) -> Option<FormatKind> {
    let at = relative.rfind('/').map_or(0, |at| at + 1);
    split(&relative[at..])
        .1
        .and_then(FormatKind::from_extension)
}

/// The output's path below the place of all outputs, as text without loss. An error says why a template leads to no name.
pub fn name(template: Option<&Template>, facts: &Facts<'_>) -> Result<String, String> {
    let text = match template {
        Some(template) => template.fill(facts),
        None => {
            let relative = facts.relative;
            let at = relative.rfind('/').map_or(0, |at| at + 1);
            let (stem, ext) = split(&relative[at..]);
            let ext = ext.map(str::to_ascii_lowercase);
            match ext {
                Some(ext) if facts.format.extensions().contains(&ext.as_str()) => {
                    relative.to_owned()
                }
                _ => format!("{}{stem}.{}", &relative[..at], facts.format.extensions()[0]),
            }
        }
    };
    let own = template.is_some_and(|template| template.has(Key::Page));
    let text = match facts.page {
        Some(page) if !own => paged(&text, page),
        _ => text,
    };
    let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    let odd = |part: &&str| {
        let path = name::to_path(part);
        let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
        let nul = path.as_os_str().as_encoded_bytes().contains(&0);
        !plain || nul || path.components().count() != 1
    };
    if parts.iter().any(odd) {
        return Err(format!(
            "its output's name `{text}` leads out of the output directory (give other --names)"
        ));
    }
    match text.ends_with('/') || parts.is_empty() {
        true => Err(format!(
            "its output's name `{text}` has no file in it (give other --names)"
        )),
        false => Ok(parts.join("/")),
    }
}

/// A name with something between its stem and its extension.
fn with_suffix(text: &str, suffix: &str) -> String {
    let at = text.rfind('/').map_or(0, |at| at + 1);
    match split(&text[at..]) {
        (stem, Some(ext)) => format!("{}{stem}{suffix}.{ext}", &text[..at]),
        (stem, None) => format!("{}{stem}{suffix}", &text[..at]),
    }
}

/// An output that somebody asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Number of the input that it is made from.
    pub input: usize,
    /// Its path, as text without loss.
    pub output: String,
    /// Whether it has its input's name, which comes before others.
    pub keeps_name: bool,
}

/// Two inputs that ask for one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Who has it.
    pub owner: usize,
    /// Who does not get it.
    pub other: usize,
    /// Number of the wish that is not granted.
    pub wish: usize,
}

/// Grants each output once: first to those that keep their input's name, then in order. Returns what could not be granted.
pub fn clashes(wishes: &[Wish]) -> Vec<Clash> {
    let mut owners: HashMap<&str, usize> = HashMap::new();
    let mut clashes = Vec::new();
    let mut clash = |owner: usize, wish: usize| {
        clashes.push(Clash {
            owner: wishes[owner].input,
            other: wishes[wish].input,
            wish,
        });
    };
    for keeps_name in [true, false] {
        for (number, wish) in wishes.iter().enumerate() {
            if wish.keeps_name != keeps_name {
                continue;
            }
            match owners.get(wish.output.as_str()) {
                Some(owner) => clash(*owner, number),
                None => drop(owners.insert(&wish.output, number)),
            }
        }
    }
    // A file cannot lie below another file, which is the one to give way.
    for (number, wish) in wishes.iter().enumerate() {
        let ends = wish.output.match_indices('/').map(|(at, _)| at);
        let mut above = ends.filter_map(|end| owners.get(&wish.output[..end]));
        if let Some(file) = above.next() {
            clash(number, *file);
        }
    }
    clashes
}

/// Gives numbers to outputs that could not be granted: `a-2.png`, `a-3.png` …
/// Returns the number of each.
pub fn number(wishes: &mut [Wish]) -> Vec<Option<u32>> {
    let mut numbers = vec![None; wishes.len()];
    let asked: Vec<String> = wishes.iter().map(|wish| wish.output.clone()).collect();
    let mut next: HashMap<&str, u32> = HashMap::new();
    loop {
        let renamed: BTreeSet<usize> = clashes(wishes).iter().map(|clash| clash.wish).collect();
        if renamed.is_empty() {
            return numbers;
        }
        for number in renamed {
            let count = next.entry(&asked[number]).or_insert(1);
            *count += 1;
            numbers[number] = Some(*count);
            wishes[number].output = numbered(&asked[number], *count);
            wishes[number].keeps_name = false;
        }
    }
}

/// The name of a page, from 1, that is an output of its own.
pub fn paged(name: &str, page: u32) -> String {
    with_suffix(name, &format!("-p{page:04}"))
}

/// The name that the `count`th of several outputs of one name gets.
pub fn numbered(name: &str, count: u32) -> String {
    with_suffix(name, &format!("-{count}"))
}

/// The template under which two inputs have outputs of their own, as words to offer it.
pub fn mending(first: &Facts<'_>, second: &Facts<'_>) -> String {
    let apart = |text: &&&str| {
        Template::parse(text)
            .is_ok_and(|template| name(Some(&template), first) != name(Some(&template), second))
    };
    let template = MENDING.iter().find(apart).unwrap_or(&MENDING[1]);
    format!("give --names '{template}', or --on-clash number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(relative: &str, own: FormatKind, format: FormatKind) -> Facts<'_> {
        Facts {
            relative,
            own,
            format,
            index: 7,
            page: None,
            size: (640, 480),
            sha256: "0123456789abcdef",
        }
    }

    fn named(template: &str, facts: &Facts<'_>) -> String {
        let template = Template::parse(template).unwrap();
        name(Some(&template), facts).unwrap()
    }

    fn plain(relative: &str, own: FormatKind, format: FormatKind) -> String {
        name(None, &facts(relative, own, format)).unwrap()
    }

    #[test]
    fn only_extensions_of_images_are_replaced() {
        use FormatKind::{Jpeg, Png, Tiff};
        let cases = [
            ("a/photo.JPG", Jpeg, Jpeg, "a/photo.JPG"),
            ("photo.jpeg", Jpeg, Png, "photo.png"),
            ("frame.000", Tiff, Tiff, "frame.000.tif"),
            ("v1.2_final", Png, Png, "v1.2_final.png"),
            ("x.d/noext", Png, Jpeg, "x.d/noext.jpg"),
            (".png", Png, Png, ".png.png"),
            ("a.b.tif", Tiff, Png, "a.b.png"),
        ];
        for (relative, own, format, output) in cases {
            assert_eq!(plain(relative, own, format), output);
        }
    }

    #[test]
    fn templates_know_their_keys() {
        let mut facts = facts("more/photo.JPG", FormatKind::Jpeg, FormatKind::Png);
        assert_eq!(named("{stem}-{ext}.{format}", &facts), "more/photo-JPG.png");
        assert_eq!(
            named("{dir}/{index}_{width}x{height}_{hash8}.{format}", &facts),
            "more/0007_640x480_01234567.png"
        );
        assert_eq!(named("./{name}.{format}", &facts), "photo.JPG.png");
        facts.page = Some(12);
        assert_eq!(named("{stem}.{format}", &facts), "more/photo-p0012.png");
        assert_eq!(named("{page}/{stem}.{format}", &facts), "0012/photo.png");
        facts.relative = "photo.jpg";
        facts.page = None;
        assert_eq!(named("{dir}/{stem}.{format}", &facts), "photo.png");
        facts.relative = "a\\xff.png";
        assert_eq!(named("{stem}\\.{format}", &facts), "a\\xff\\\\.png");
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_known_keys() {
        for (text, words) in [
            ("{stm}", "there is no key {stm}"),
            ("{stm}", "did you mean {stem}?"),
            ("{stem", "without its other half"),
            ("stem}", "without its other half"),
            ("{{stem}}", "without its other half"),
            ("out.png", "names every output the same"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(error.contains("{hash8}"), "{error}");
        }
        let template = Template::parse("../{stem}").unwrap();
        let facts = facts("a.png", FormatKind::Png, FormatKind::Png);
        let error = name(Some(&template), &facts).unwrap_err();
        assert!(error.contains("leads out of"), "{error}");
        let template = Template::parse("{stem}/").unwrap();
        assert!(name(Some(&template), &facts).is_err());
        let mut facts = facts;
        for relative in ["a\\x2fb.png", "\\x2e\\x2e/b.png", "a\\x00.png"] {
            facts.relative = relative;
            assert!(name(None, &facts).is_err(), "{relative}");
        }
    }

    fn wish(input: usize, output: &str, keeps_name: bool) -> Wish {
        Wish {
            input,
            output: output.into(),
            keeps_name,
        }
    }

    #[test]
    fn who_keeps_its_name_comes_first_and_others_get_numbers() {
        let mut wishes = [
            wish(0, "a.png", false),
            wish(1, "a.png", true),
            wish(2, "a.png", false),
            wish(3, "a-2.png", true),
        ];
        let found = clashes(&wishes);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].owner, found[0].other), (1, 0));
        assert_eq!(number(&mut wishes), [Some(4), None, Some(3), None]);
        let names: Vec<_> = wishes.iter().map(|w| w.output.as_str()).collect();
        assert_eq!(names, ["a-4.png", "a.png", "a-3.png", "a-2.png"]);
    }

    #[test]
    fn a_file_below_another_file_is_a_clash() {
        let wishes = [wish(0, "a.png", true), wish(1, "a.png/b.png", true)];
        let found = clashes(&wishes);
        assert_eq!((found[0].owner, found[0].other), (1, 0));
        let mut wishes = wishes;
        number(&mut wishes);
        assert_eq!(wishes[0].output, "a-2.png");
    }

    #[test]
    fn the_template_offered_mends_the_clash() {
        let of = |relative| facts(relative, FormatKind::Png, FormatKind::Png);
        let text = mending(&of("a.png"), &of("a.tif"));
        assert!(text.contains("{stem}-{ext}.{format}"), "{text}");
        let mut second = of("a.png");
        second.index = 8;
        let text = mending(&of("a.png"), &second);
        assert!(text.contains("{index}-{stem}.{format}"), "{text}");
    }
}
