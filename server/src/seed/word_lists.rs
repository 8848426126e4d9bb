//! Word lists of the generator: departments with their products, qualities, materials, countries and notes.

pub(super) const DEPARTMENTS: &[(&str, &[&str])] = &[
    (
        "Kitchen",
        &[
            "Saucepan",
            "Chef's Knife",
            "Cutting Board",
            "Kettle",
            "Mixing Bowl",
            "Peeler",
        ],
    ),
    (
        "Bath",
        &[
            "Towel",
            "Soap Dish",
            "Bath Mat",
            "Shelf",
            "Mirror",
            "Laundry Basket",
        ],
    ),
    (
        "Garden",
        &[
            "Watering Can",
            "Spade",
            "Planter",
            "Hose Reel",
            "Bird Feeder",
            "Rake",
        ],
    ),
    (
        "Office",
        &[
            "Desk Lamp",
            "Notebook",
            "Stapler",
            "Desk Mat",
            "File Box",
            "Pen Set",
        ],
    ),
    (
        "Lighting",
        &[
            "Floor Lamp",
            "Pendant",
            "Wall Light",
            "Lantern",
            "Night Light",
            "Bulb",
        ],
    ),
    (
        "Bedroom",
        &[
            "Pillow",
            "Duvet Cover",
            "Blanket",
            "Bedside Table",
            "Sheet Set",
            "Throw",
        ],
    ),
    (
        "Toys",
        &[
            "Puzzle",
            "Building Blocks",
            "Kite",
            "Train Set",
            "Teddy Bear",
            "Card Game",
        ],
    ),
    (
        "Sports",
        &[
            "Yoga Mat",
            "Dumbbell",
            "Skipping Rope",
            "Water Bottle",
            "Jersey",
            "Racket",
        ],
    ),
    (
        "Camping",
        &[
            "Tent",
            "Sleeping Bag",
            "Camp Stove",
            "Headlamp",
            "Backpack",
            "Hammock",
        ],
    ),
    (
        "Tools",
        &[
            "Hammer",
            "Screwdriver Set",
            "Spirit Level",
            "Pliers",
            "Hand Saw",
            "Tape Measure",
        ],
    ),
    (
        "Audio",
        &[
            "Headphones",
            "Speaker",
            "Turntable",
            "Microphone",
            "Earbuds",
            "Amplifier",
        ],
    ),
    (
        "Bags",
        &[
            "Tote",
            "Messenger Bag",
            "Wallet",
            "Suitcase",
            "Pouch",
            "Daypack",
        ],
    ),
    (
        "Shoes",
        &[
            "Sneaker",
            "Boot",
            "Sandal",
            "Slipper",
            "Loafer",
            "Trail Shoe",
        ],
    ),
    (
        "Clothing",
        &[
            "T-Shirt", "Cardigan", "Raincoat", "Scarf", "Beanie", "Chinos",
        ],
    ),
    (
        "Pets",
        &[
            "Dog Bed",
            "Cat Tree",
            "Leash",
            "Food Bowl",
            "Chew Toy",
            "Aquarium",
        ],
    ),
    (
        "Books",
        &[
            "Cookbook",
            "Atlas",
            "Diary",
            "Field Guide",
            "Sketchbook",
            "Calendar",
        ],
    ),
];

pub(super) const QUALITIES: &[&str] = &[
    "Classic", "Compact", "Deluxe", "Everyday", "Folding", "Handmade", "Large", "Light", "Modern",
    "Nordic", "Pocket", "Premium", "Recycled", "Rustic", "Slim", "Small", "Sturdy", "Vintage",
];

pub(super) const MATERIALS: &[&str] = &[
    "Aluminium",
    "Bamboo",
    "Brass",
    "Canvas",
    "Ceramic",
    "Copper",
    "Cork",
    "Cotton",
    "Glass",
    "Leather",
    "Linen",
    "Oak",
    "Rubber",
    "Steel",
    "Walnut",
    "Wool",
];

pub(super) const COUNTRIES: &[&str] = &["DE", "FR", "GB", "IE", "NL", "US", "AT", "CA"];

pub(super) const NOTES: &[&str] = &[
    "Please leave it at the door.",
    "Ring twice.",
    "It is a present: no invoice in the parcel, please.",
    "Deliver after 17:00.",
    "Second floor, the lift is out of order.",
];
