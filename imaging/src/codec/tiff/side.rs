//! What a TIFF says beside its pixels in tags of its own: XMP, IPTC, resolution, GeoTIFF, GDAL.
//!
//! Values that are not sound are passed over: they are no part of the picture.

use super::directory::{Entry, File};
use super::fields::Field;
use crate::codec::{Limits, exif};
use crate::image::Metadata;
use crate::metadata::{Geo, Resolution, fraction, iptc, latin1, xmp};

const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const RESOLUTION_UNIT: u16 = 296;
const ORIENTATION: u16 = 274;
const XMP: u16 = 700;
const IPTC: u16 = 33723;
const PHOTOSHOP: u16 = 34377;
const PIXEL_SCALE: u16 = 33550;
const TIE_POINTS: u16 = 33922;
const TRANSFORMATION: u16 = 34264;
const GEO_KEYS: u16 = 34735;
const GEO_DOUBLES: u16 = 34736;
const GEO_ASCII: u16 = 34737;
const GDAL_METADATA: u16 = 42112;
const GDAL_NODATA: u16 = 42113;
const ASCII: u16 = 2;
const RATIONAL: u16 = 5;
const UNDEFINED: u16 = 7;
const DOUBLE: u16 = 12;

struct Tags<'f, 'r> {
    file: &'f mut File<'r>,
    entries: &'f [Entry],
    most: usize,
}

impl Tags<'_, '_> {
    fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|e| e.tag == tag).copied()
    }

    fn bytes(&mut self, tag: u16) -> Option<Vec<u8>> {
        let entry = self.entry(tag)?;
        let bytes = self.file.bytes(&entry, self.most).ok()?;
        self.most = self.most.checked_sub(bytes.len())?;
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }

    fn doubles(&mut self, tag: u16) -> Option<Vec<f64>> {
        self.entry(tag).filter(|entry| entry.kind == DOUBLE)?;
        let bytes = self.bytes(tag)?;
        let of = |raw: &[u8]| f64::from_bits(self.file.number(raw));
        Some(bytes.chunks_exact(8).map(of).collect())
    }

    fn rational(&mut self, tag: u16) -> Option<f64> {
        let entry = self.entry(tag).filter(|entry| entry.kind == RATIONAL)?;
        let bytes = self.file.bytes(&entry, 8).ok()?;
        let (above, below) = bytes.split_at_checked(4)?;
        let of = |raw: &[u8]| self.file.number(raw) as f64;
        Some(of(above) / of(below)).filter(|v| v.is_finite())
    }

    fn text(&mut self, tag: u16) -> Option<String> {
        self.entry(tag).filter(|entry| entry.kind == ASCII)?;
        let bytes = self.bytes(tag)?;
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        let text = &bytes[..end];
        Some(std::str::from_utf8(text).map_or_else(|_| latin1(text), str::to_owned))
    }
}

/// Adds what a directory's tags say.
pub fn read(file: &mut File<'_>, entries: &[Entry], limits: &Limits, metadata: &mut Metadata) {
    let most = limits.max_metadata;
    let mut tags = Tags {
        file,
        entries,
        most,
    };
    metadata.xmp = tags.bytes(XMP);
    metadata.iptc = iptc_of(&mut tags);
    let (x, y) = (tags.rational(X_RESOLUTION), tags.rational(Y_RESOLUTION));
    if let (Some(x), Some(y)) = (x, y) {
        let unit = tags.entry(RESOLUTION_UNIT);
        let unit = unit.and_then(|entry| tags.file.numbers(&entry, 1).ok());
        let unit = unit.and_then(|unit| unit.first().copied()).unwrap_or(2);
        metadata.resolution = Resolution::of_exif(x, y, unit as u16);
    }
    metadata.gdal = tags.text(GDAL_METADATA);
    metadata.nodata = tags.text(GDAL_NODATA);
    metadata.geo = geo(&mut tags).map(Box::new);
    if tags.entry(ORIENTATION).is_none() {
        let stated = metadata.xmp.as_deref().and_then(xmp::orientation);
        metadata.orientation = stated.unwrap_or(metadata.orientation);
    }
}

/// Datasets, which many writers give as 32-bit numbers whatever the order of bytes.
fn iptc_of(tags: &mut Tags<'_, '_>) -> Option<Vec<u8>> {
    if let Some(mut bytes) = tags.bytes(IPTC) {
        if bytes.first() != Some(&0x1C) && bytes.get(3) == Some(&0x1C) {
            bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        }
        return Some(bytes);
    }
    tags.bytes(PHOTOSHOP)
        .and_then(|resources| iptc::find(&resources))
}

fn geo(tags: &mut Tags<'_, '_>) -> Option<Geo> {
    let scale = tags.doubles(PIXEL_SCALE);
    let matrix = tags.doubles(TRANSFORMATION);
    let keys = tags.entry(GEO_KEYS);
    let keys = keys.and_then(|entry| tags.file.numbers(&entry, 1 << 16).ok());
    let ties = tags.doubles(TIE_POINTS).unwrap_or_default();
    let geo = Geo {
        scale: scale.and_then(|s| s.try_into().ok()),
        ties: (ties.chunks_exact(6))
            .filter_map(|tie| tie.try_into().ok())
            .collect(),
        matrix: matrix.and_then(|m| m.try_into().ok()),
        keys: (keys.unwrap_or_default().iter())
            .map(|&key| key as u16)
            .collect(),
        doubles: tags.doubles(GEO_DOUBLES).unwrap_or_default(),
        ascii: tags.bytes(GEO_ASCII).unwrap_or_default(),
    };
    (geo != Geo::default()).then_some(geo)
}

fn doubles(tag: u16, values: &[f64]) -> Field {
    let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Field::new(tag, DOUBLE, values.len(), data)
}

fn rational(tag: u16, value: f64) -> Field {
    let (above, below) = fraction(value);
    let data = [above.to_le_bytes(), below.to_le_bytes()].concat();
    Field::new(tag, RATIONAL, 1, data)
}

fn text(tag: u16, text: &str) -> Field {
    let data = [text.as_bytes(), b"\0"].concat();
    Field::new(tag, ASCII, data.len(), data)
}

/// The fields that say it, ICC profile and orientation left out.
pub fn fields(metadata: &Metadata) -> Vec<Field> {
    let mut fields = Vec::new();
    if let Some(block) = &metadata.exif {
        let own = [X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, ORIENTATION];
        let carried = super::exif::fields_of(block).into_iter();
        fields.extend(carried.filter(|field| !own.contains(&field.tag)));
    }
    let stated = || metadata.exif.as_deref().and_then(exif::resolution);
    if let Some(resolution) = metadata.resolution.or_else(stated) {
        fields.push(rational(X_RESOLUTION, resolution.x));
        fields.push(rational(Y_RESOLUTION, resolution.y));
        fields.push(Field::shorts(RESOLUTION_UNIT, &[resolution.exif_unit()]));
    }
    let raw = [(XMP, 1, &metadata.xmp), (IPTC, UNDEFINED, &metadata.iptc)];
    for (tag, kind, bytes) in raw {
        if let Some(bytes) = bytes {
            fields.push(Field::new(tag, kind, bytes.len(), bytes.clone()));
        }
    }
    if let Some(gdal) = &metadata.gdal {
        fields.push(text(GDAL_METADATA, gdal));
    }
    if let Some(nodata) = &metadata.nodata {
        fields.push(text(GDAL_NODATA, nodata));
    }
    let Some(geo) = &metadata.geo else {
        return fields;
    };
    if let Some(scale) = &geo.scale {
        fields.push(doubles(PIXEL_SCALE, scale));
    }
    if !geo.ties.is_empty() {
        fields.push(doubles(TIE_POINTS, geo.ties.as_flattened()));
    }
    if let Some(matrix) = &geo.matrix {
        fields.push(doubles(TRANSFORMATION, matrix));
    }
    if !geo.keys.is_empty() {
        fields.push(Field::shorts(GEO_KEYS, &geo.keys));
    }
    if !geo.doubles.is_empty() {
        fields.push(doubles(GEO_DOUBLES, &geo.doubles));
    }
    if !geo.ascii.is_empty() {
        let ascii = geo.ascii.clone();
        fields.push(Field::new(GEO_ASCII, ASCII, ascii.len(), ascii));
    }
    fields
}

/// Bytes that all of it may take.
pub fn bytes(metadata: &Metadata) -> u64 {
    let geo = metadata.geo.as_deref().map_or(0, |geo| {
        48 * geo.ties.len() + 2 * geo.keys.len() + 8 * geo.doubles.len() + geo.ascii.len()
    });
    let parts = [
        metadata.icc.as_ref().map_or(0, Vec::len),
        metadata.exif.as_ref().map_or(0, Vec::len),
        metadata.xmp.as_ref().map_or(0, Vec::len),
        metadata.iptc.as_ref().map_or(0, Vec::len),
        metadata.gdal.as_ref().map_or(0, String::len),
        geo,
    ];
    parts.iter().sum::<usize>() as u64 + 4096
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Format;
    use crate::codec::hostile::{flipped, picture, round_trip};
    use crate::codec::{KeepMetadata, encode};
    use crate::image::{Color, SampleType};
    use crate::metadata::Unit;

    #[test]
    fn everything_is_read_as_it_was_written() {
        let mut image = picture(5, 7, Color::Gray, SampleType::U16);
        image.metadata = Metadata {
            orientation: 1,
            xmp: Some(b"<x:xmpmeta/>".to_vec()),
            iptc: Some(b"\x1c\x02P\0\x03Bob".to_vec()),
            resolution: Resolution::new(118.11, 300.0, Unit::Centimetre),
            nodata: Some("-9999".into()),
            gdal: Some("<GDALMetadata>\n</GDALMetadata>".into()),
            geo: Some(Box::new(Geo {
                scale: Some([10.0, 10.0, 0.0]),
                ties: vec![[0.0, 0.0, 0.0, 500_000.0, 6_000_000.0, 0.0]; 3],
                matrix: Some([0.25; 16]),
                keys: vec![1, 1, 0, 1, 1025, 0, 1, 1],
                doubles: vec![6_378_137.0],
                ascii: b"WGS 84|\0".to_vec(),
            })),
            ..Metadata::default()
        };
        let format = Format::parse("tiff").unwrap();
        let mut again = round_trip(&image, &format).metadata;
        // The resolution stands in the EXIF block, too.
        again.exif = None;
        again.stored = image.metadata.stored;
        assert_eq!(again, image.metadata);
        flipped(&encode(&image, &format, KeepMetadata::All).unwrap(), 3000);
    }
}
